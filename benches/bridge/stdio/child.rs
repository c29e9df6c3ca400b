//! A running child: lines in, lines out, its end.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use crate::Result;
use crate::payload::{INITIALIZE, INITIALIZED, call, id_of};

pub(crate) struct Child {
    process: Arc<Mutex<std::process::Child>>,
    input: Option<Box<dyn Write>>,
    output: Box<dyn Read>,
    buffer: Vec<u8>,
    /// What of `buffer` has been read, and what of that has been used.
    filled: usize,
    used: usize,
}

const CHUNK: usize = 256 * 1024;

impl Child {
    pub(super) fn new(
        process: std::process::Child,
        input: Box<dyn Write>,
        output: Box<dyn Read>,
    ) -> Self {
        let process = Arc::new(Mutex::new(process));
        watch(&process);
        Self { process, input: Some(input), output, buffer: vec![0; CHUNK], filled: 0, used: 0 }
    }

    pub(crate) fn id(&self) -> u32 {
        locked(&self.process).id()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.input {
            Some(input) => Ok(input.write_all(bytes)?),
            None => Err("its stdin is closed".into()),
        }
    }

    /// One read(2) into `buffer`; everything used before is given up.
    fn fill(&mut self) -> Result<()> {
        self.buffer.copy_within(self.used..self.filled, 0);
        self.filled -= self.used;
        self.used = 0;
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        match self.output.read(&mut self.buffer[self.filled..])? {
            0 => Err("it closed its stdout, or was ended after 60 s".into()),
            read => {
                self.filled += read;
                Ok(())
            }
        }
    }

    /// The next line, without its end.
    pub(crate) fn line(&mut self) -> Result<&[u8]> {
        let mut seen = 0;
        loop {
            let unseen = &self.buffer[self.used + seen..self.filled];
            if let Some(end) = memchr::memchr(b'\n', unseen) {
                let start = self.used;
                self.used += seen + end + 1;
                return Ok(&self.buffer[start..start + seen + end]);
            }
            seen = self.filled - self.used;
            self.fill()?;
        }
    }

    /// Waits, then hands every whole line that is there to `see`. True when that was all there is.
    pub(crate) fn lines(&mut self, mut see: impl FnMut(&[u8])) -> Result<()> {
        see(self.line()?);
        while let Some(end) = memchr::memchr(b'\n', &self.buffer[self.used..self.filled]) {
            see(&self.buffer[self.used..self.used + end]);
            self.used += end + 1;
        }
        Ok(())
    }

    /// The next line, counted and dropped as it comes. Its length with its end.
    pub(crate) fn skip_line(&mut self) -> Result<usize> {
        let mut length = 0;
        loop {
            let unseen = &self.buffer[self.used..self.filled];
            if let Some(end) = memchr::memchr(b'\n', unseen) {
                self.used += end + 1;
                return Ok(length + end + 1);
            }
            length += unseen.len();
            self.used = self.filled;
            self.fill()?;
        }
    }

    pub(crate) fn initialize(&mut self) -> Result<()> {
        self.write(INITIALIZE.as_bytes())?;
        let answer = self.line()?;
        if id_of(answer) != Some(0) || memchr::memmem::find(answer, b"\"result\"").is_none() {
            let answer = String::from_utf8_lossy(answer);
            return Err(format!("initialize was answered {answer}").into());
        }
        Ok(())
    }

    pub(crate) fn handshake(&mut self) -> Result<()> {
        self.initialize()?;
        self.write(INITIALIZED.as_bytes())?;
        self.round_trip(1)
    }

    /// One call of `echo`. The empty hop answers with the call itself.
    pub(crate) fn round_trip(&mut self, id: usize) -> Result<()> {
        self.write(call(id, "echo", "").as_bytes())?;
        let answer = self.line()?;
        if id_of(answer) != Some(id) {
            let answer = String::from_utf8_lossy(answer);
            return Err(format!("call {id} was answered {answer}").into());
        }
        Ok(())
    }

    /// Calls of `echo`, `width` of them in flight; every id must come back once.
    pub(crate) fn in_flight(&mut self, calls: usize, width: usize) -> Result<Duration> {
        let mut pending = vec![true; calls];
        let mut sent = width.min(calls);
        let mut answered = 0;
        let mut out: String = (0..sent).map(|id| call(id, "echo", "")).collect();
        let begin = Instant::now();
        while answered < calls {
            if !out.is_empty() {
                self.write(out.as_bytes())?;
                out.clear();
            }
            let mut foreign = None;
            self.lines(|line| {
                let id = id_of(line).filter(|id| *id < calls && pending[*id]);
                let Some(id) = id else {
                    foreign = Some(String::from_utf8_lossy(line).into_owned());
                    return;
                };
                pending[id] = false;
                answered += 1;
                if sent < calls {
                    out.push_str(&call(sent, "echo", ""));
                    sent += 1;
                }
            })?;
            if let Some(line) = foreign {
                return Err(format!("not the answer to a pending call: {line}").into());
            }
        }
        Ok(begin.elapsed())
    }

    /// Closes stdin and waits until the process is gone.
    pub(crate) fn finish(mut self) -> Result<Duration> {
        let begin = Instant::now();
        self.input = None;
        loop {
            self.used = self.filled;
            match self.output.read(&mut self.buffer)? {
                0 => break,
                _ => continue,
            }
        }
        let status = locked(&self.process).wait()?;
        let elapsed = begin.elapsed();
        if !status.success() {
            return Err(format!("it ended with {status}").into());
        }
        Ok(elapsed)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.input = None;
        let mut process = locked(&self.process);
        if let Ok(None) = process.try_wait() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn locked(process: &Mutex<std::process::Child>) -> std::sync::MutexGuard<'_, std::process::Child> {
    process.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child lives for one measurement. One that still runs after 60 s is killed, which its reader
/// sees as the end of stdout: no wait here is without a deadline.
fn watch(process: &Arc<Mutex<std::process::Child>>) {
    type Watched = (Instant, std::sync::Weak<Mutex<std::process::Child>>);
    static WATCHED: Mutex<Vec<Watched>> = Mutex::new(Vec::new());
    static STARTED: Once = Once::new();
    let end = Instant::now() + Duration::from_secs(60);
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner).push((end, Arc::downgrade(process)));
    STARTED.call_once(|| {
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_millis(500));
                let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
                watched.retain(|(end, process)| match process.upgrade() {
                    Some(process) if Instant::now() > *end => {
                        let _ = locked(&process).kill();
                        false
                    }
                    other => other.is_some(),
                });
            }
        });
    });
}
