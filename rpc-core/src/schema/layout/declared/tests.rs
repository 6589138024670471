use serde::{Deserialize, Serialize};

use super::*;

#[derive(Serialize, Deserialize)]
struct Point {
    x: u8,
    y: u8,
}

#[derive(Serialize, Deserialize)]
enum Shape {
    Circle { at: Point },
    Line(Point, Point),
}

const fn field(name: &'static str) -> DeclaredField {
    DeclaredField { name, aliases: &[], has_default: false }
}

const fn variant(
    name: &'static str,
    index: u32,
    fields: Option<&'static [DeclaredField]>,
) -> DeclaredVariant {
    DeclaredVariant { name, aliases: &[], index, is_other: false, fields }
}

const CIRCLE: DeclaredVariant = variant("Circle", 0, Some(&[field("at")]));
const LINE: DeclaredVariant = variant("Line", 1, Some(&[field(""), field("")]));

const SHORT_LINE: DeclaredVariant = variant("Line", 1, Some(&[field("")]));

/// What is said of a vector of shapes where `T` is declared like this.
fn said<T>(parts: DeclaredParts) -> Vec<String> {
    let mut found = Declarations::default();
    assert!(found.add::<T>(Declaration { name: "T", docs: &[], remarks: &[], parts }));
    assert!(!found.add::<T>(Declaration { name: "T", docs: &[], remarks: &[], parts }), "it is there");
    Layout::of_exchanged::<Vec<Shape>>("Vec<Shape>").disagreements(&found)
}

#[track_caller]
fn check<T>(parts: DeclaredParts, expected: &str) {
    let said = said::<T>(parts);
    assert!(matches!(&said[..], [only] if only.starts_with(expected)), "{said:?}");
}

#[test]
fn declarations_that_agree_say_nothing() {
    assert_eq!(said::<Point>(DeclaredParts::Fields(const { &[field("x"), field("y")] })), [""; 0]);
    assert_eq!(said::<Shape>(DeclaredParts::Variants(const { &[CIRCLE, LINE] })), [""; 0]);
    let own_encoding = const { &[CIRCLE, variant("Line", 1, None)] };
    assert_eq!(said::<Shape>(DeclaredParts::Variants(own_encoding)), [""; 0]);
    assert_eq!(
        said::<u8>(DeclaredParts::Fields(const { &[field("elsewhere")] })),
        [""; 0],
        "it was not traced as a shape"
    );
}

#[test]
fn each_disagreement_is_said() {
    check::<Point>(
        DeclaredParts::Fields(const { &[field("y"), field("x")] }),
        "`T` is declared with `y` as field 0 and read with `x` there",
    );
    check::<Point>(
        DeclaredParts::Fields(const { &[field("x")] }),
        "`T` is declared with 1 fields and read with 2",
    );
    check::<Point>(
        DeclaredParts::Variants(&[]),
        "`T` is declared as an enum and read as a tuple or struct of 2",
    );
    check::<Shape>(DeclaredParts::Fields(&[]), "`T` is declared as a struct and read as an enum");
    check::<Shape>(
        DeclaredParts::Variants(const { &[CIRCLE] }),
        "`T` is declared with 1 variants and read with 2",
    );
    check::<Shape>(
        DeclaredParts::Variants(const { &[CIRCLE, variant("Line", 2, None)] }),
        "`T` is declared with `Line` as number 2 and read with it as 1",
    );
    check::<Shape>(
        DeclaredParts::Variants(const { &[CIRCLE, variant("Linie", 1, None)] }),
        "`T` is declared with `Linie` as number 1 and read with `Line` there",
    );
    check::<Shape>(
        DeclaredParts::Variants(const { &[CIRCLE, SHORT_LINE] }),
        "`T` is declared with a variant `Line` of 1 fields and read with 2",
    );
}
