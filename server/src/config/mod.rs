//! Settings.
pub mod kind;
pub mod machine;
pub mod memory;
mod near;
pub mod raw;
mod redis_conf;
pub mod table;
mod toml_file;
pub mod value;
mod words;
