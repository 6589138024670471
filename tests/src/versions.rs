//! Two versions of an API: what arrives is what was sent, or a refusal that says why.
//!
//! The types are generated from seeds, thousands of them, in two versions that differ in one place.
//! `VERSIONS=20000 cargo test -p tests --lib two_versions` tries more; `VERSIONS_SEED=7` begins elsewhere. They
//! are data that serialises as derived code does; a sample of them is derived for real and must have the same layouts
//! (`SAMPLE=write cargo nextest run -p tests derived` writes it anew).

mod definitions;
mod dynamic;
mod generate;
mod rust;
#[rustfmt::skip]
mod sample;

use std::sync::{Arc, Mutex};

use definitions::{Body, Form, Kind, Types, Value};
use dynamic::{Node, Parts};
use generate::Random;
use rpc_core::{
    __private::{CallBuilder, Incoming, ObjectsCache, Reply, SignatureCache, Stub},
    CallError, Never, Pipelined, Promise, Refusal, Service, ServiceClient, Services, memory,
    schema::{ArgumentDescriptor, MethodAttributes, MethodDescriptor, ServiceDescriptor, ValueDescriptor},
};

/// The methods that both versions have: `echo(value) -> value`, `make() -> value`, and `take(part) -> text`.
fn service(side: usize, part: usize) -> &'static ServiceDescriptor {
    let method = |name, arguments: Vec<ArgumentDescriptor>, result| MethodDescriptor {
        name,
        rust_name: name,
        docs: "",
        arguments: arguments.leak(),
        result,
        error: None,
        attributes: MethodAttributes::default(),
        cache: SignatureCache::new(),
    };
    let argument = |name, kind| ArgumentDescriptor { name, value: dynamic::descriptor(side, kind) };
    let methods = vec![
        method("echo", vec![argument("value", 0)], dynamic::descriptor(side, 0)),
        method("make", Vec::new(), dynamic::descriptor(side, 0)),
        method("take", vec![argument("part", part)], ValueDescriptor::new::<String>("String")),
    ];
    let methods = methods.leak();
    Box::leak(Box::new(ServiceDescriptor {
        name: "Versions",
        rust_name: "Versions",
        docs: "",
        ordered: false,
        methods,
        objects: ObjectsCache::new(),
    }))
}

/// Answers as the second version.
struct Server {
    descriptor: &'static ServiceDescriptor,
    part: usize,
    made: Value,
    /// What arrived, told with names.
    arrived: Arc<Mutex<Vec<String>>>,
}

impl Service for Server {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        self.descriptor
    }

    fn dispatch(&self, method: u32, incoming: Incoming) -> Reply {
        let (part, made, arrived) = (self.part, self.made.clone(), Arc::clone(&self.arrived));
        match method {
            0 => Incoming::run::<_, Node<1, 0>, Never, _>(
                incoming,
                |reader| reader.take::<Node<1, 0>>(),
                move |Node(value)| async move {
                    arrived.lock().unwrap().push(dynamic::types(1).told(0, &value));
                    Ok(Node(value))
                },
            ),
            1 => Incoming::run::<_, Node<1, 0>, Never, _>(
                incoming,
                |_| Ok(()),
                move |()| async move { Ok(Node(made)) },
            ),
            2 => Incoming::run::<_, String, Never, _>(
                incoming,
                |reader| dynamic::take(reader, PART.get()),
                move |value| async move { Ok(dynamic::types(1).told(part, &value)) },
            ),
            _ => incoming.unknown_method(),
        }
    }
}

thread_local! {
    /// The kind of the argument of `take`.
    static PART: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    static CLIENT: std::cell::Cell<Option<&'static ServiceDescriptor>> = const { std::cell::Cell::new(None) };
}

/// Calls as the first version.
#[derive(Clone)]
struct Client(Stub);

impl ServiceClient for Client {
    fn descriptor() -> &'static ServiceDescriptor {
        CLIENT.get().expect("it was set")
    }

    fn from_stub(stub: Stub) -> Self {
        Self(stub)
    }

    fn stub(&self) -> &Stub {
        &self.0
    }
}

impl Client {
    fn echo(&self, value: Node<0, 0>) -> Promise<Node<0, 0>, Never> {
        let session = self.0.session();
        let mut call = self.0.begin(&session, 0);
        CallBuilder::argument::<Node<0, 0>>(&mut call, value);
        call.send()
    }

    fn make(&self) -> Promise<Node<0, 0>, Never> {
        self.0.begin(&self.0.session(), 1).send()
    }

    fn take(&self, part: Promise<Node<0, 0>, Never>) -> Promise<String, Never> {
        let session = self.0.session();
        let mut call = self.0.begin(&session, 2);
        CallBuilder::argument::<Node<0, 0>>(&mut call, part);
        call.send()
    }
}

/// One step from a value into a part of it.
#[derive(Debug, Clone, Copy)]
enum Step {
    Field(u32),
    VariantField(u32, u32),
    Some,
    Index(u32),
}

/// The promise of a part.
fn at(whole: Promise<Node<0, 0>, Never>, steps: &[Step]) -> Promise<Node<0, 0>, Never> {
    steps.iter().fold(whole, |promise, step| {
        let Parts(at) = &*promise;
        match step {
            Step::Field(ordinal) => at.field(*ordinal),
            Step::VariantField(index, ordinal) => at.variant(*index).field(*ordinal),
            Step::Some => Option::<Node<0, 0>>::pipe(at.clone()).some(),
            Step::Index(index) => Vec::<Node<0, 0>>::pipe(at.clone()).index(*index),
        }
    })
}

/// A part of this value: the way there, its kind, and itself.
fn part<'v>(types: &Types, value: &'v Value, random: &mut Random) -> (Vec<Step>, usize, &'v Value) {
    let (mut steps, mut kind, mut value) = (Vec::new(), 0, value);
    for _ in 0..random.below(6) {
        let field = |form: &Form, values: &'v [Value], random: &mut Random| {
            let written: Vec<usize> = (0..values.len()).filter(|index| !form.fields[*index].skip).collect();
            (!written.is_empty()).then(|| {
                let ordinal = random.below(written.len());
                (ordinal as u32, form.fields[written[ordinal]].kind, &values[written[ordinal]])
            })
        };
        let next = match (&types.kinds[kind], value) {
            (Kind::Option(part), Value::Some(inner)) => Some((Step::Some, *part, &**inner)),
            (Kind::Vec(part), Value::List(values)) if !values.is_empty() => {
                let index = random.below(values.len());
                Some((Step::Index(index as u32), *part, &values[index]))
            }
            (Kind::Tuple(parts), Value::List(values)) => {
                let index = random.below(values.len());
                Some((Step::Field(index as u32), parts[index], &values[index]))
            }
            (Kind::Def(def), value) => match (&types.defs[*def].body, value) {
                (Body::Struct(form), Value::List(values)) => field(form, values, random)
                    .map(|(ordinal, kind, value)| (Step::Field(ordinal), kind, value)),
                (Body::Enum(variants), Value::Variant(index, values)) => {
                    field(&variants[*index].form, values, random).map(|(ordinal, kind, value)| {
                        (Step::VariantField(*index as u32, ordinal), kind, value)
                    })
                }
                _ => None,
            },
            _ => None,
        };
        let Some((step, next_kind, next_value)) = next else { break };
        steps.push(step);
        (kind, value) = (next_kind, next_value);
    }
    (steps, kind, value)
}

/// What became of a pair of versions.
#[derive(Debug, PartialEq)]
enum Verdict {
    Works,
    Refused,
    NotCallable,
}

/// Lets a client of one version call a server of another. Fails if a value arrives as another, if what is alike is refused
/// or if what differs is not.
async fn check(seed: u64, client: Types, server: Types) -> Verdict {
    let mut random = Random::new(seed ^ 0xdead_beef);
    let context =
        || format!("seed {seed}\nclient: {}\nserver: {}", dynamic::layout(0, 0), dynamic::layout(1, 0));
    let one_sided = [&client, &server].map(|types| types.is_one_sided());
    let has_values = [&client, &server].map(|types| types.heights()[0].is_some());
    let is_same = client.is_same_as(&server);
    dynamic::set([client.clone(), server.clone()]);
    for (side, one_sided) in one_sided.iter().enumerate() {
        let problems = dynamic::layout(side, 0).problems();
        assert_eq!(!problems.is_empty(), *one_sided, "side {side}: {problems:?}\n{}", context());
    }
    let (steps, kind, made, expected) = if has_values[1] {
        let made = generate::value(&server, 0, &mut 40, &mut random);
        let (steps, kind, value) = part(&server, &made, &mut random);
        let expected = server.told(kind, value);
        (steps, kind, made, expected)
    } else {
        (Vec::new(), 0, Value::None, String::new())
    };
    PART.set(kind);
    CLIENT.set(Some(service(0, kind)));
    let arrived = Arc::default();
    let answers = Server { descriptor: service(1, kind), part: kind, made, arrived: Arc::clone(&arrived) };
    if one_sided[1] {
        // Such a service is not offered.
        let problems = answers.descriptor.methods[0].problems();
        assert!(problems[0].starts_with("argument `value`: "), "{problems:?}");
        return Verdict::NotCallable;
    }
    if !has_values.contains(&true) {
        // Without values there are no bytes.
        return Verdict::Works;
    }
    let client_side: Client = memory::connect(Services::new().with(answers)).service();
    let value = match has_values[0] {
        true => generate::value(&client, 0, &mut 40, &mut random),
        false => {
            let Err(error) = client_side.make().await else { panic!("nothing came\n{}", context()) };
            assert!(matches!(error, CallError::Refused { .. }), "{error:?}\n{}", context());
            return Verdict::Refused;
        }
    };
    let sent = client.told(0, &value);
    let answer = client_side.echo(Node(value)).await;
    let arrived = arrived.lock().unwrap().pop();
    assert!(
        arrived.as_ref().is_none_or(|arrived| *arrived == sent),
        "{sent} arrived as {arrived:?}\n{}",
        context()
    );
    match answer {
        Ok(Node(back)) => {
            assert!(is_same, "versions that differ were taken for equal\n{}", context());
            assert_eq!(client.told(0, &back), sent, "{}", context());
        }
        Err(CallError::Refused { refusal: Refusal::SchemaMismatch { ours, theirs, .. }, .. }) => {
            assert!(!is_same, "equal versions were refused: {ours} and {theirs}\n{}", context());
            assert!(ours.contains("value: ") && theirs.contains("value: "), "{ours} {theirs}");
            return Verdict::Refused;
        }
        Err(CallError::Refused { refusal: Refusal::NotCallable { reason, .. }, .. }) => {
            assert!(one_sided[0], "{reason}\n{}", context());
            assert!(reason.starts_with("argument `value`: "), "{reason}");
            return Verdict::NotCallable;
        }
        // Encoding the value saw it before.
        Err(CallError::Refused { refusal: Refusal::InvalidArgument { reason, .. }, .. }) => {
            assert!(one_sided[0] && reason.contains("leaves the field"), "{reason}\n{}", context());
            return Verdict::NotCallable;
        }
        Err(other) => panic!("{other:?}\n{}", context()),
    }
    let taken = client_side.take(at(client_side.make(), &steps)).await;
    assert_eq!(
        taken.as_deref().map_err(|error| error.to_string()),
        Ok(&*expected),
        "{steps:?}\n{}",
        context()
    );
    Verdict::Works
}

/// What the client has, and what the server.
fn versions(seed: u64) -> [Types; 2] {
    let mut random = Random::new(seed);
    let types = generate::types(&mut random);
    let other = if seed.is_multiple_of(5) { types.clone() } else { generate::changed(&types, &mut random) };
    if random.below(2) == 0 { [types, other] } else { [other, types] }
}

/// Four tests run a quarter each, side by side.
fn check_quarter(quarter: u64) {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let count = number("VERSIONS", 2_000).div_ceil(4);
    let first = number("VERSIONS_SEED", 1) + quarter * count;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut verdicts = [0; 3];
    for seed in first..first + count {
        let [client, server] = versions(seed);
        verdicts[runtime.block_on(check(seed, client, server)) as usize] += 1;
    }
    #[expect(clippy::print_stdout, reason = "what a longer run is asked for")]
    {
        println!(
            "{count} types from seed {first}: {} work, {} refused, {} not callable",
            verdicts[0], verdicts[1], verdicts[2]
        );
    }
    assert!(count < 100 || verdicts.iter().all(|verdict| *verdict > 0), "one-sided: {verdicts:?}");
}

#[test]
fn two_versions_understand_each_other_or_refuse_1() {
    check_quarter(0);
}

#[test]
fn two_versions_understand_each_other_or_refuse_2() {
    check_quarter(1);
}

#[test]
fn two_versions_understand_each_other_or_refuse_3() {
    check_quarter(2);
}

#[test]
fn two_versions_understand_each_other_or_refuse_4() {
    check_quarter(3);
}

#[test]
fn derived_types_have_the_layouts_of_the_generated_ones() {
    let of_seed = |seed| (seed, versions(seed)[1].clone());
    let has_attributes = |(_, types): &(u64, Types)| {
        let fields = types.defs.iter().flat_map(|def| def.forms()).flat_map(|form| &form.fields);
        types.is_one_sided()
            || fields.into_iter().any(|field| field.alias.is_some() || field.skip || field.default)
    };
    let sample = (1..=30).map(of_seed).chain((31..).map(of_seed).filter(has_attributes).take(30));
    let sample: Vec<(u64, Types)> = sample.collect();
    let text = rust::file(&sample);
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/versions/sample.rs");
    if std::env::var_os("SAMPLE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(text == include_str!("versions/sample.rs"), "run this with SAMPLE=write");
    let mut told = 0;
    for ((seed, types), (of_seed, derived)) in sample.into_iter().zip(sample::layouts()) {
        assert_eq!(seed, of_seed);
        dynamic::set([types.clone(), types]);
        let dynamic = dynamic::layout(0, 0);
        assert_eq!(derived.to_string(), dynamic.to_string(), "seed {seed}");
        assert_eq!(derived, dynamic, "seed {seed}: {derived}");
        assert_eq!(derived.problems(), dynamic.problems(), "seed {seed}: {derived}");
        told += usize::from(!derived.problems().is_empty());
    }
    assert!(told > 9, "some are one-sided: {told}");
}
