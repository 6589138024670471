use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ride_loses_nothing() {
    let often = ResumeOptions { attaches_per_minute: 600, ..ResumeOptions::default() };
    let server = Server::builder().service(ElevatorServer::new(Cabin::default())).resume(often);
    let server = server.bind("127.0.0.1:0").await.expect("a free port");
    let address = server.local_addr().expect("it is bound");
    tokio::spawn(server.serve());
    let link = Link::start(address, Duration::from_millis(1)).await.expect("a free port");
    let mut passenger = Passenger::board(&link.url()).await.expect("the server is there");
    let report = passenger.ride(&link, 2).await;
    assert_eq!((report.resumed, report.gaps, report.duplicates), (2, 0, 0), "{report:?}");
    let (numbers, calls, rings) = report.heard;
    assert!(numbers > 0 && calls > 0 && rings > 0, "{report:?}");
    let text = report.text();
    assert!(text.contains("gaps 0, duplicates 0") && text.contains('█') && text.contains('·'), "{text}");
}
