#[derive(Pipeline)]
pub struct User {
    pub id: u64,
    #[serde(skip)]
    pub cache: Cache,
    /// Their name.
    pub(crate) r#type: String,
    #[serde(with = "seconds")]
    pub since: Duration,
    friends: Vec<User>,
}

#[derive(Pipeline)]
#[pipeline(crate = facade::rpc)]
struct Pair(pub u8, #[serde(skip_serializing)] u16, u32);

#[derive(Pipeline)]
#[serde(transparent)]
pub struct Meters {
    pub value: f64,
    marker: PhantomData<u8>,
}

#[derive(Pipeline)]
pub struct Page<T: Display = u8, const N: usize = 3>
where
    T: Clone,
{
    pub items: [T; N],
}

#[derive(Pipeline)]
pub struct Unit;
