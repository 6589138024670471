use super::Options;
use crate::Subject;

fn parse(arguments: &str) -> Options {
    let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
    Options::parse(&arguments).expect("known options")
}

fn names(options: &Options) -> Vec<String> {
    options.workloads().into_iter().map(crate::workloads::Workload::name).collect()
}

#[test]
fn only_is_the_beginning_of_a_name_and_a_whole_number() {
    let w1 = names(&parse("--only W1"));
    assert!(!w1.is_empty() && w1.iter().all(|name| name.starts_with("W1 ")), "{w1:?}");
    assert!(!parse("--only W1").wants_depth());
    assert!(names(&parse("--only depth")).is_empty() && parse("--only depth").wants_depth());
    assert!(names(&parse("")).len() > 20 && parse("").wants_depth());
}

#[test]
fn subjects_are_a_list() {
    let options = parse("--subject rpc,tarpc");
    assert!(options.wants(Subject::Rpc) && options.wants(Subject::Tarpc) && !options.wants(Subject::WsFlush));
}

#[test]
fn a_part_of_a_pass_is_not_written_down() {
    for arguments in
        [vec!["--write"], vec!["--write", "--peers", "--only", "W1"], vec!["--rounds"], vec!["--what"]]
    {
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        assert!(Options::parse(&arguments).is_err(), "{arguments:?}");
    }
}
