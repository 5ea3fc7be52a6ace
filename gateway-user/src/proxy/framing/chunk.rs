//! A chunked body (RFC 9112, section 7.1), without its trailers.

use crate::proxy::error::Refusal;

/// A chunked body of which some bytes may have arrived.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    part: Part,
    /// Bytes of the size line so far.
    line: usize,
    /// The size read so far, and later how much of the data is due.
    size: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
}

impl Chunks {
    /// Takes bytes up to the end of the last chunk's size line: how many, and whether that has come.
    pub fn scan(&mut self, bytes: &[u8], longest_line: usize) -> (usize, Result<bool, Refusal>) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if self.part == Part::Data {
                let take = self.size.min((bytes.len() - at) as u64);
                self.size -= take;
                at += take as usize;
                if self.size == 0 {
                    self.part = Part::DataCr;
                }
                continue;
            }
            match self.take(*byte, longest_line) {
                Ok(false) => at += 1,
                Ok(true) => return (at + 1, Ok(true)),
                Err(refusal) => return (at, Err(refusal)),
            }
        }
        (at, Ok(false))
    }

    /// Takes a byte that is not data; whether it ends the last chunk.
    fn take(&mut self, byte: u8, longest_line: usize) -> Result<bool, Refusal> {
        match self.part {
            Part::Size => self.take_size(byte)?,
            Part::Extension => self.take_extension(byte, longest_line)?,
            Part::SizeLf if byte != b'\n' => return Err(Refusal::BareCr),
            Part::SizeLf if self.size == 0 => return Ok(true),
            Part::SizeLf => self.part = Part::Data,
            Part::DataCr if byte == b'\r' => self.part = Part::DataLf,
            Part::DataLf if byte == b'\n' => *self = Self::default(),
            Part::DataCr | Part::DataLf | Part::Data => return Err(Refusal::ChunkEnd),
        }
        Ok(false)
    }

    fn take_size(&mut self, byte: u8) -> Result<(), Refusal> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if self.line > 0 => {
                self.part = Part::SizeLf;
                return Ok(());
            }
            b';' if self.line > 0 => {
                self.part = Part::Extension;
                return Ok(());
            }
            b'\n' if self.line > 0 => return Err(Refusal::BareLf),
            _ => return Err(Refusal::ChunkSize),
        };
        self.line += 1;
        // 16 digits at most: leading zeros are not a way to send a line without end.
        if self.line > 16 || self.size > (i64::MAX as u64 >> 4) {
            return Err(Refusal::ChunkSize);
        }
        self.size = self.size << 4 | u64::from(digit);
        Ok(())
    }

    fn take_extension(&mut self, byte: u8, longest_line: usize) -> Result<(), Refusal> {
        match byte {
            b'\r' => self.part = Part::SizeLf,
            0..b' ' | 0x7F => return Err(Refusal::ChunkExtension),
            _ => self.line += 1,
        }
        if self.line >= longest_line { Err(Refusal::ChunkExtension) } else { Ok(()) }
    }
}
