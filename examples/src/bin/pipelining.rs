//! A tour of promises: uses of a result that has not arrived yet, and their cost on the wire.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{error::Error, time::Duration};

use examples::link::Link;
use rpc_client::{CallError, Client, join, join_all, try_join};
use rpc_server::Server;

/// `#[data]` makes the type serialisable, and its fields usable as promises before a value has arrived.
#[rpc_core::data]
#[derive(Debug, Clone)]
struct Person {
    name: String,
    boss: Option<u32>,
    team: Vec<u32>,
}

#[rpc_core::data]
#[derive(Debug, PartialEq, thiserror::Error)]
enum CompanyError {
    #[error("nobody has the number {0}")]
    Nobody(u32),
}

/// The people of a company.
#[rpc_core::rpc]
trait Company {
    async fn person(&self, number: u32) -> Result<Person, CompanyError>;
    async fn introduce(&self, first: String, second: String) -> String;
    async fn think(&self) -> String;
}

struct Bakery;

impl Company for Bakery {
    async fn person(&self, number: u32) -> Result<Person, CompanyError> {
        let (name, boss, team) = match number {
            1 => ("Ann", None, vec![2, 3]),
            2 => ("Bob", Some(1), vec![4]),
            3 => ("Cem", Some(1), vec![]),
            4 => ("Dan", Some(2), vec![]),
            _ => return Err(CompanyError::Nobody(number)),
        };
        Ok(Person { name: name.into(), boss, team })
    }

    async fn introduce(&self, first: String, second: String) -> String {
        format!("{first}, this is {second}!")
    }

    async fn think(&self) -> String {
        std::future::pending().await
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let server = Server::builder().service(CompanyServer::new(Bakery)).bind("127.0.0.1:0").await?;
    // The link between client and server counts WebSocket messages, so that the output proves the claims of this tour.
    let link = Link::start(server.local_addr()?, Duration::from_millis(5)).await?;
    tokio::spawn(server.serve());
    let company: CompanyClient = Client::connect(&link.url()).await?.service();
    company.person(1).await?;

    let tour = Tour { company, link };
    tour.value().await?;
    tour.field().await?;
    tour.reference().await?;
    tour.diamond().await?;
    tour.parts().await?;
    tour.joins().await?;
    tour.errors().await?;
    tour.deadline().await
}

struct Tour {
    company: CompanyClient,
    link: Link,
}

type Stop = Result<(), Box<dyn Error + Send + Sync>>;

impl Tour {
    /// A call starts when it is made; awaiting its promise returns the value.
    async fn value(&self) -> Stop {
        self.show("a value", async {
            let ann = self.company.person(1);
            Ok(ann.await?.name)
        })
        .await
    }

    /// A field of a promised struct is a promise too, and can be an argument. The server fills in the value.
    async fn field(&self) -> Stop {
        self.show("a field of a result nobody has seen yet", async {
            let ann = self.company.person(1);
            let hello = self.company.introduce("Everybody", ann.name());
            Ok(hello.await?)
        })
        .await
    }

    /// A promise passed by reference can be used again, and finally awaited.
    async fn reference(&self) -> Stop {
        self.show("a promise passed by reference, twice", async {
            let name = self.company.person(1).name();
            let twice = self.company.introduce(&name, &name);
            Ok(format!("{} {}", name.await?, twice.await?))
        })
        .await
    }

    /// Promises form a graph, not only a chain: two calls need the same result, a third call needs the results of both.
    async fn diamond(&self) -> Stop {
        self.show("a diamond", async {
            let bob = self.company.person(2);
            let boss = self.company.person(bob.boss().some());
            let junior = self.company.person(bob.team().index(0));
            Ok(self.company.introduce(boss.name(), junior.name()).await?)
        })
        .await
    }

    /// `some()` is the value in an `Option`, `index()` an element of a `Vec`.
    async fn parts(&self) -> Stop {
        let Self { company, .. } = self;
        self.show("inside an Option", async {
            let boss = company.person(company.person(4).boss().some());
            Ok(boss.name().await?)
        })
        .await?;
        self.show("an element of a Vec", async {
            let second = company.person(company.person(1).team().index(1));
            Ok(second.name().await?)
        })
        .await
    }

    /// Several results can be awaited at once. All promises become futures before the first is polled, so all calls leave together.
    async fn joins(&self) -> Stop {
        let Self { company, .. } = self;
        self.show("join!: each with its own result", async {
            let (ann, nobody) = join!(company.person(1), company.person(9));
            Ok(format!("{} and {}", ann?.name, nobody.map_or("nobody".into(), |person| person.name)))
        })
        .await?;
        self.show("try_join!: all values or the first error", async {
            let (ann, bob) = try_join!(company.person(1), company.person(2))?;
            Ok(format!("{} and {}", ann.name, bob.name))
        })
        .await?;
        self.show("join_all: as many as there are", async {
            let people = join_all((1..=4).map(|number| company.person(number).name())).await;
            let names: Vec<String> = people.into_iter().collect::<Result<_, _>>()?;
            Ok(names.join(", "))
        })
        .await
    }

    /// A call built on a failed call never runs. Its error names the failed call and carries that call's typed error.
    async fn errors(&self) -> Stop {
        self.show("an error further up", async {
            let nobody = self.company.person(9);
            let error = self.company.introduce("Ann", nobody.name()).await.err();
            let Some(CallError::Upstream(upstream)) = error else { return Err("nobody was found".into()) };
            let cause = upstream.downcast::<CompanyError>();
            Ok(format!("`{}` failed: {}", upstream.failed(), cause.ok_or("of another type")?))
        })
        .await?;
        self.show("a part that is not there", async {
            let ann = self.company.person(1);
            let error = self.company.person(ann.boss().some()).await.err();
            Ok(error.ok_or("Ann has a boss")?.to_string())
        })
        .await
    }

    /// A deadline is set on a client. It travels with the client's calls, and calls built on them inherit it.
    async fn deadline(&self) -> Stop {
        self.show("a deadline", async {
            let hurried = self.company.deadline(Duration::from_millis(100));
            match hurried.think().await {
                Err(CallError::DeadlineExceeded { .. }) => Ok("thought for too long".into()),
                other => Ok(other?),
            }
        })
        .await
    }

    /// Runs one stop of the tour and prints its result and the number of messages.
    async fn show(
        &self,
        title: &str,
        stop: impl Future<Output = Result<String, Box<dyn Error + Send + Sync>>>,
    ) -> Stop {
        let before = self.link.traffic();
        let result = stop.await?;
        let took = self.link.traffic() - before;
        println!("{title} ({} out, {} back)\n    {result}", took.out.messages, took.back.messages);
        Ok(())
    }
}
