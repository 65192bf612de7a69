//! Answers of reviews, kept for some seconds and in limited number. Keys are digests, so that neither
//! tokens nor long attribute lists stay in memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// SHA-256 of what was asked.
pub(super) type Digest = [u8; 32];

/// A bounded memory of answers.
pub(super) struct Cache<V> {
    generations: Mutex<Generations<V>>,
    ttl: Duration,
    capacity: usize,
}

/// When the newer half is full, the older one is forgotten as a whole: what is in use is in the newer.
struct Generations<V> {
    newer: HashMap<Digest, (Instant, V)>,
    older: HashMap<Digest, (Instant, V)>,
}

impl<V: Clone> Cache<V> {
    /// Makes an empty cache of at most `capacity` answers, each good for `ttl`.
    pub(super) fn new(ttl: Duration, capacity: usize) -> Self {
        let generations = Generations { newer: HashMap::new(), older: HashMap::new() };
        Self { generations: Mutex::new(generations), ttl, capacity }
    }

    /// Returns the answer if it is still good at `now`.
    pub(super) fn lookup(&self, key: &Digest, now: Instant) -> Option<V> {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, answer) = generations.newer.get(key).or_else(|| generations.older.get(key))?;
        (now.saturating_duration_since(*since) < self.ttl).then(|| answer.clone())
    }

    /// Keeps an answer that was given at `now`.
    pub(super) fn keep(&self, key: Digest, answer: V, now: Instant) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.newer.len() >= self.capacity / 2 {
            generations.older = std::mem::take(&mut generations.newer);
        }
        generations.newer.insert(key, (now, answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    fn key(number: u8) -> Digest {
        [number; 32]
    }

    #[test]
    fn answers_grow_stale() {
        let cache = Cache::new(TTL, 8);
        let start = Instant::now();
        cache.keep(key(1), "yes", start);
        assert_eq!(cache.lookup(&key(1), start + Duration::from_millis(9_999)), Some("yes"));
        assert_eq!(cache.lookup(&key(1), start + TTL), None);
        cache.keep(key(1), "no", start + TTL);
        assert_eq!(cache.lookup(&key(1), start + TTL), Some("no"));
    }

    #[test]
    fn the_number_of_answers_is_limited() {
        let cache = Cache::new(TTL, 8);
        let start = Instant::now();
        for number in 0..100 {
            cache.keep(key(number), number, start);
        }
        let kept = (0..100).filter(|number| cache.lookup(&key(*number), start).is_some()).count();
        assert!((4..=8).contains(&kept), "{kept} answers kept");
        assert_eq!(cache.lookup(&key(99), start), Some(99));
    }
}
