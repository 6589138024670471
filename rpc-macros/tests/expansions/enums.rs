#[derive(Pipeline)]
pub enum Shape<T> {
    Empty,
    /// A round one.
    Circle(f64),
    HTTPBox {
        /// How wide.
        width: T,
        #[serde(skip)]
        cache: u8,
        height: T,
    },
    #[serde(with = "own")]
    Own(u8),
    Type(u8),
    #[serde(skip)]
    Hidden(u8),
}
