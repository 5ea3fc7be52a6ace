//! A tar file in the format of POSIX.1-1988 (ustar), with nothing in it that depends on when or by whom it was made.

use std::io::{self, Read, Write};

use anyhow::{Context, Result, ensure};

const BLOCK: usize = 512;

/// A tar file that is being written.
#[derive(Debug)]
pub struct Archive<W> {
    file: W,
}

impl<W: Write> Archive<W> {
    /// An empty one.
    pub fn new(file: W) -> Self {
        Self { file }
    }

    /// Adds a folder.
    pub fn folder(&mut self, place: &str) -> Result<()> {
        let header = header(&format!("{place}/"), 0o755, 0, b'5')?;
        Ok(self.file.write_all(&header)?)
    }

    /// Adds a file of `size` bytes.
    ///
    /// # Errors
    /// Where it is longer or shorter, or its name too long for the format.
    pub fn file(&mut self, place: &str, mode: u32, size: u64, content: impl Read) -> Result<()> {
        self.file.write_all(&header(place, mode, size, b'0')?)?;
        // One byte more than there should be, to notice it.
        let copied = io::copy(&mut content.take(size + 1), &mut self.file)
            .with_context(|| format!("copying {place}"))?;
        ensure!(copied == size, "{place} changed while it was read");
        let rest = usize::try_from(size % BLOCK as u64)?;
        Ok(self.file.write_all(&vec![0; (BLOCK - rest) % BLOCK])?)
    }

    /// Ends it.
    pub fn finish(mut self) -> Result<()> {
        self.file.write_all(&[0; 2 * BLOCK])?;
        Ok(self.file.flush()?)
    }
}

fn header(place: &str, mode: u32, size: u64, kind: u8) -> Result<[u8; BLOCK]> {
    ensure!(place.len() <= 100, "{place}: longer than the 100 bytes that a tar has for a name");
    let mut header = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, place.as_bytes());
    put(100, format!("{mode:07o}\0").as_bytes());
    // Owner, group.
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    ensure!(size < 1 << 33, "{place}: 8 GiB are more than a tar can tell");
    put(124, format!("{size:011o}\0").as_bytes());
    // Time.
    put(136, b"00000000000\0");
    // The checksum is taken with blanks in its place.
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::{command, feed};

    #[test]
    fn tar_reads_what_is_written() {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        archive.folder("a").unwrap();
        archive.file("a/b", 0o755, 3, &b"xyz"[..]).unwrap();
        archive.file("c", 0o644, 512, &[7; 512][..]).unwrap();
        archive.finish().unwrap();
        let listed = feed(command("tar").args(["--list", "--verbose", "--utc", "--numeric-owner"]), &bytes);
        let listed = listed.unwrap();
        let lines: Vec<Vec<_>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["drwxr-xr-x", "0/0", "0", "1970-01-01", "00:00", "a/"]);
        assert_eq!(lines[1], ["-rwxr-xr-x", "0/0", "3", "1970-01-01", "00:00", "a/b"]);
        assert_eq!(lines[2], ["-rw-r--r--", "0/0", "512", "1970-01-01", "00:00", "c"]);
    }

    #[test]
    fn a_file_of_another_size_is_refused() {
        let mut archive = Archive::new(Vec::new());
        assert!(archive.file("a", 0o644, 2, &b"xyz"[..]).is_err());
        assert!(archive.file("a", 0o644, 4, &b"xyz"[..]).is_err());
    }
}
