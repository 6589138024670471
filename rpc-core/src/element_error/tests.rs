use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Size {
    w: u8,
    h: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Swapped {
    h: u8,
    w: u8,
}

/// The names that it has differ from those by which it is read.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Aliased {
    #[serde(alias = "Alpha")]
    Zulu(u8),
}

#[test]
fn an_encoded_error_is_that_of_its_type_with_names() {
    let encoded = |bytes: &[u8], layout: &Layout| EncodedError::new(bytes, Some(layout));
    let size = encoded(&[1, 2], &Layout::of_exchanged::<Size>("Size"));
    assert_eq!(size.downcast(), Some(Size { w: 1, h: 2 }));
    assert_eq!(size.downcast::<Swapped>(), None, "the fields would be swapped");
    assert_eq!(size.downcast::<(u8, u8)>(), None);
    let aliased = encoded(&[0, 3], &Layout::of_exchanged::<Aliased>("Aliased"));
    assert_eq!(aliased.downcast(), Some(Aliased::Zulu(3)));
    assert_eq!(EncodedError::new(&[1, 2], None).downcast::<Size>(), None);
}
