//! A watch: one event a line, translated as the bytes arrive.

use super::event;

/// Splits the stream of a watch into lines and translates each.
#[derive(Debug, Default)]
pub(in crate::store) struct Lines {
    /// The line whose end has not arrived.
    begun: Vec<u8>,
}

impl Lines {
    /// Takes what arrived, and returns the events that are complete with it, translated.
    pub(in crate::store) fn push(&mut self, mut chunk: &[u8]) -> serde_json::Result<Vec<u8>> {
        let mut out = String::with_capacity(chunk.len());
        while let Some(end) = chunk.iter().position(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(&chunk[..end]);
            chunk = &chunk[end + 1..];
            self.take(&mut out)?;
        }
        self.begun.extend_from_slice(chunk);
        Ok(out.into_bytes())
    }

    /// Returns an event that the stream ended with instead of a line break.
    pub(in crate::store) fn finish(&mut self) -> serde_json::Result<Vec<u8>> {
        let mut out = String::new();
        self.take(&mut out)?;
        Ok(out.into_bytes())
    }

    fn take(&mut self, out: &mut String) -> serde_json::Result<()> {
        let line = std::mem::take(&mut self.begun);
        let line = std::str::from_utf8(&line).map_err(serde::de::Error::custom)?.trim();
        if !line.is_empty() {
            event(line, out)?;
            out.push('\n');
        }
        Ok(())
    }
}
