//! Sessions on what enters the stream.
