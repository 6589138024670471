use super::{BEGIN, END, replace_measured, versions};

#[test]
fn what_is_written_by_hand_stays() {
    let document = format!("# Title\n\n{BEGIN}\nold {BEGIN}\n{END}\nand this, {END}\n");
    let replaced = replace_measured(&document, "new\n").expect("both marks");
    assert_eq!(replaced, format!("# Title\n\n{BEGIN}\n\nnew\n\n{END}\nand this, {END}\n"));
    assert_eq!(replace_measured(&replaced, "new\n").expect("both marks"), replaced);
}

#[test]
fn without_both_marks_in_order_nothing_is_replaced() {
    for document in [String::new(), BEGIN.to_owned(), format!("{END}\n{BEGIN}\n")] {
        assert!(replace_measured(&document, "new").is_err(), "{document:?}");
    }
}

#[test]
fn the_document_has_its_marks() {
    assert!(replace_measured(include_str!("../../../BENCHMARKS.md"), "").is_ok());
}

#[test]
fn versions_are_those_of_the_lock_file() {
    let lock = "[[package]]\nname = \"tonic-prost\"\nversion = \"9.9.9\"\n\n[[package]]\nname = \"tonic\"\nversion = \"0.14.9\"\n";
    assert_eq!(versions(lock, &["tonic", "tarpc"]), ["tonic 0.14.9"]);
    assert_eq!(versions(include_str!("../../peers/Cargo.lock"), &super::OF_PEERS).len(), 4);
    assert_eq!(versions(include_str!("../../../Cargo.lock"), &super::OF_PROJECT).len(), 2);
}
