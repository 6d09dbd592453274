//! A key that may be replaced while a program runs, for all who hold it.

use std::sync::{Arc, PoisonError, RwLock};

/// What its holders share: each asks anew each time.
pub(super) struct Live<T>(Arc<RwLock<Arc<T>>>);

impl<T> Live<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(value))))
    }

    /// What it is now.
    pub(super) fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts what another is now in its place, for all its holders.
    pub(super) fn follow(&self, other: &Self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = other.get();
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
