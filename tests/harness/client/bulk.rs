//! Bulk transfers whose every byte is checked.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::{
    netns::Netns,
    pattern::{PIECE, Pattern},
};

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Client to pod.
    Up,
    /// Pod to client.
    Down,
}

/// Moves `bytes` over one connection to `to`; how long it took.
///
/// # Errors
/// Where the connection breaks, stalls for ten seconds, or a byte arrives that was not sent.
pub fn bulk(from: &Netns, to: SocketAddr, bytes: u64, direction: Direction) -> io::Result<Duration> {
    let stream = from.run(|| TcpStream::connect_timeout(&to, Duration::from_secs(5)))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::with_capacity(PIECE, stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let began = Instant::now();
    match direction {
        Direction::Up => {
            writeln!(writer, "take {bytes}")?;
            send(&mut writer, bytes)?;
            line.clear();
            reader.read_line(&mut line)?;
            if line != format!("ok {bytes}\n") {
                return Err(io::Error::new(io::ErrorKind::InvalidData, line));
            }
        }
        Direction::Down => {
            writeln!(writer, "give {bytes}")?;
            receive(&mut reader, bytes)?;
        }
    }
    Ok(began.elapsed())
}

fn send(writer: &mut TcpStream, bytes: u64) -> io::Result<()> {
    let mut pattern = Pattern::default();
    let mut left = bytes;
    while left > 0 {
        let piece = pattern.piece(usize::try_from(left).unwrap_or(PIECE));
        writer.write_all(piece)?;
        pattern.advance(piece.len());
        left -= piece.len() as u64;
    }
    Ok(())
}

fn receive(reader: &mut impl Read, bytes: u64) -> io::Result<()> {
    let mut pattern = Pattern::default();
    let mut buffer = vec![0; PIECE];
    let mut left = bytes;
    while left > 0 {
        let room = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let got = reader.read(&mut buffer[..room])?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        pattern
            .accept(&buffer[..got])
            .map_err(|offset| io::Error::new(io::ErrorKind::InvalidData, format!("bad at {offset}")))?;
        left -= got as u64;
    }
    Ok(())
}
