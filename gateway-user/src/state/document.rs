//! The document's bytes: one header line (name, version, CRC-32 and length of what follows), then JSON.

use serde::{Serialize, de::DeserializeOwned};

const NAME: &str = "weir-state";
const VERSION: u32 = 1;

/// Why a document does not read back.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The first line is not a header of ours.
    #[error("its first line is not `{NAME} VERSION CRC32 LENGTH`")]
    Header,
    /// Written by another version.
    #[error("it has version {found}, this program reads version {VERSION}")]
    Version {
        /// The version in the header.
        found: u32,
    },
    /// Length or checksum differ.
    #[error("its length or checksum differs from what its header says")]
    Checksum,
    /// The checksum is right, the content is not what this program writes.
    #[error("its content is not what this version writes: {0}")]
    Content(#[from] serde_json::Error),
}

/// The bytes of a document that holds `value`.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, DocumentError> {
    let body = serde_json::to_vec(value)?;
    let mut bytes = format!("{NAME} {VERSION} {:08x} {}\n", crc32fast::hash(&body), body.len()).into_bytes();
    bytes.extend(body);
    Ok(bytes)
}

/// What a document holds.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DocumentError> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(DocumentError::Header)?;
    let (head, body) = (&bytes[..end], &bytes[end + 1..]);
    let head = std::str::from_utf8(head).map_err(|_| DocumentError::Header)?;
    let [name, version, checksum, length] =
        head.split(' ').collect::<Vec<_>>().try_into().map_err(|_| DocumentError::Header)?;
    let version = version.parse().map_err(|_| DocumentError::Header)?;
    if name != NAME {
        return Err(DocumentError::Header);
    }
    if version != VERSION {
        return Err(DocumentError::Version { found: version });
    }
    let expected = (format!("{:08x}", crc32fast::hash(body)), body.len().to_string());
    if (checksum, length) != (expected.0.as_str(), expected.1.as_str()) {
        return Err(DocumentError::Checksum);
    }
    Ok(serde_json::from_slice(body)?)
}
