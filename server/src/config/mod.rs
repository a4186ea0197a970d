//! The room `config`.
#[derive(Default)]
pub struct Live;
