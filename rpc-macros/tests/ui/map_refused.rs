use rpc_core::rpc;

#[rpc]
pub trait Numbers {
    async fn upto(&self, end: u64) -> Vec<u64>;
    async fn next(&self, number: u64) -> u64;
}

fn awaits(numbers: &NumbersClient) {
    let _ = numbers.upto(3).map(|number| numbers.next(number.await.unwrap_or_default()));
}

fn branches(numbers: &NumbersClient) {
    let _ = numbers.upto(3).map(|number| if number == 1 { numbers.next(1) } else { numbers.next(number) });
}

fn formats(numbers: &NumbersClient) {
    let _ = numbers.upto(3).map(|number| {
        println!("{number} {number:?}");
        numbers.next(number)
    });
}

fn calculates(numbers: &NumbersClient) {
    let _ = numbers.upto(3).map(|number| numbers.next(number + 1));
}

fn returns_a_value(numbers: &NumbersClient) {
    let _ = numbers.upto(3).map(|_| 7);
}

fn main() {}
