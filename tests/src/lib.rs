//! What the tests of running nodes share: starting a server, talking to it, and checking replies.
