use rpc_core::{Context, rpc};

#[rpc]
pub trait Options {
    #[rpc(batch)]
    async fn bare(&self, id: u64) -> u64;
    #[rpc(batch = 7)]
    async fn number(&self, id: u64) -> u64;
    #[rpc(batch = "no name")]
    async fn spaced(&self, id: u64) -> u64;
    #[rpc(batch = "same")]
    async fn same(&self, id: u64) -> u64;
    #[rpc(batch = "nobody")]
    async fn alone(&self, id: u64) -> Result<u8, String>;
    #[rpc(batch = "nobody")]
    async fn both(&self, #[rpc(context)] cx: Context, a: u8, b: String);
    #[rpc(batch = "ones")]
    async fn one(&self) -> u64;
    async fn ones(&self, ids: Vec<u64>) -> Vec<u64>;
}

#[rpc(batch = "profiles")]
pub trait Level {
    async fn profile(&self, #[rpc(batch = "profiles")] id: u64);
}

#[rpc]
pub trait Signatures {
    #[rpc(batch = "argument_are")]
    async fn argument(&self, id: u64) -> u64;
    async fn argument_are(&self, ids: Vec<u32>) -> Vec<u64>;

    #[rpc(batch = "countings")]
    async fn counting(&self, a: u64, b: u64) -> u64;
    async fn countings(&self, a: Vec<u64>, b: Vec<u64>) -> Vec<u64>;

    #[rpc(batch = "results")]
    async fn result(&self, id: u64) -> Result<u8, String>;
    async fn results(&self, ids: Vec<u64>) -> Vec<u8>;

    #[rpc(batch = "nothings")]
    async fn nothing(&self, id: u64) -> Result<(), String>;
    async fn nothings(&self, ids: Vec<u64>);

    #[rpc(batch = "values")]
    async fn value(&self, id: u64) -> u8;
    async fn values(&self, ids: Vec<u64>) -> Result<Vec<u8>, String>;

    #[rpc(oneway, batch = "notes")]
    async fn note(&self, line: String);
    async fn notes(&self, lines: Vec<String>) -> Vec<()>;

    #[rpc(batch = "allwrong")]
    async fn wrong(&self, id: u64) -> u8;
    async fn allwrong(&self, ids: u64) -> u8;
}

#[rpc]
pub trait Handlers {
    #[rpc(batch = "blockings", blocking)]
    async fn blocking(&self, id: u64) -> u64;
    #[rpc(blocking)]
    async fn blockings(&self, ids: Vec<u64>) -> Vec<u64>;

    #[rpc(batch = "whos")]
    async fn who(&self, #[rpc(context)] cx: &Context, id: u64) -> u64;
    async fn whos(&self, ids: Vec<u64>) -> Vec<u64>;

    #[rpc(batch = "conditionals")]
    async fn conditional(&self, id: u64) -> u64;
    #[cfg(not(any()))]
    async fn conditionals(&self, ids: Vec<u64>) -> Vec<u64>;

    #[rpc(batch = "refuseds")]
    async fn refused(&self, id: u64) -> u64;
    async fn refuseds(&self, ids: &[u64]) -> Vec<u64>;
}

struct Here;

// Methods with a batch method that does not fit stay in the trait: none of these is a second mistake.
impl Handlers for Here {
    async fn blocking(&self, _: u64) -> u64 {
        1
    }
    async fn blockings(&self, _: Vec<u64>) -> Vec<u64> {
        Vec::new()
    }
    async fn who(&self, _: &Context, _: u64) -> u64 {
        1
    }
    async fn whos(&self, _: Vec<u64>) -> Vec<u64> {
        Vec::new()
    }
    async fn conditional(&self, _: u64) -> u64 {
        1
    }
    async fn conditionals(&self, _: Vec<u64>) -> Vec<u64> {
        Vec::new()
    }
    async fn refused(&self, _: u64) -> u64 {
        1
    }
    async fn refuseds(&self, _: &[u64]) -> Vec<u64> {
        Vec::new()
    }
}

fn main() {}
