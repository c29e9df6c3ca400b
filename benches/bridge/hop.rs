//! The empty stdio hop: this executable again, as a child that does nothing but read(2) and
//! write(2). What a message costs that only crosses two pipes and one more process.

use std::fs::File;
use std::io::{self, Read, Write};

pub(crate) const ARGUMENT: &str = "--as-empty-hop";

/// Without arguments an echo. With a number of bytes (and of lines): answers each line read with
/// so many lines of that length, so that a large result crosses one pipe, as it does in a bridge.
pub(crate) fn run(arguments: &[String]) -> io::Result<()> {
    let (mut input, mut output) = descriptors()?;
    let number = |index: usize| arguments.get(index).and_then(|text| text.parse().ok());
    let answer = number(0).map(|bytes: usize| {
        let mut line = vec![b'x'; bytes.saturating_sub(1)];
        line.push(b'\n');
        line.repeat(number(1).unwrap_or(1))
    });
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = input.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        match &answer {
            None => output.write_all(&buffer[..read])?,
            Some(answer) => {
                for _ in memchr::memchr_iter(b'\n', &buffer[..read]) {
                    output.write_all(answer)?;
                }
            }
        }
    }
}

/// Standard input and output without the buffers and locks of `std::io`.
#[cfg(unix)]
fn descriptors() -> io::Result<(File, File)> {
    use std::os::fd::AsFd;
    Ok((
        io::stdin().as_fd().try_clone_to_owned()?.into(),
        io::stdout().as_fd().try_clone_to_owned()?.into(),
    ))
}

#[cfg(windows)]
fn descriptors() -> io::Result<(File, File)> {
    use std::os::windows::io::AsHandle;
    Ok((
        io::stdin().as_handle().try_clone_to_owned()?.into(),
        io::stdout().as_handle().try_clone_to_owned()?.into(),
    ))
}
