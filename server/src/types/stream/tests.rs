//! Streams against what Redis answers, and against a naive twin.
