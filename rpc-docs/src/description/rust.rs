//! Writes types as Rust code.

use super::Type;

impl Type {
    /// The type as it would be written in Rust, with the names of the description.
    pub fn to_rust(&self) -> String {
        let list = |types: &[Type]| types.iter().map(Type::to_rust).collect::<Vec<_>>().join(", ");
        match self {
            Type::Bool => "bool".into(),
            Type::I8 => "i8".into(),
            Type::I16 => "i16".into(),
            Type::I32 => "i32".into(),
            Type::I64 => "i64".into(),
            Type::I128 => "i128".into(),
            Type::U8 => "u8".into(),
            Type::U16 => "u16".into(),
            Type::U32 => "u32".into(),
            Type::U64 => "u64".into(),
            Type::U128 => "u128".into(),
            Type::F32 => "f32".into(),
            Type::F64 => "f64".into(),
            Type::Char => "char".into(),
            Type::String => "String".into(),
            Type::Bytes => "Bytes".into(),
            Type::Unit => "()".into(),
            Type::Ref(name) => name.clone(),
            Type::Object(service) => format!("{service}Client"),
            Type::Stream { item, error: None } => format!("Streaming<{}>", item.to_rust()),
            Type::Stream { item, error: Some(error) } => {
                format!("Streaming<{}, {}>", item.to_rust(), error.to_rust())
            }
            Type::Option(inner) => format!("Option<{}>", inner.to_rust()),
            Type::List(element) => format!("Vec<{}>", element.to_rust()),
            Type::Collection { name, element } => format!("{name}<{}>", element.to_rust()),
            Type::Map { name, key, value } => format!("{name}<{}, {}>", key.to_rust(), value.to_rust()),
            Type::Array { element, len } => format!("[{}; {len}]", element.to_rust()),
            Type::Tuple(elements) if elements.len() == 1 => format!("({},)", list(elements)),
            Type::Tuple(elements) => format!("({})", list(elements)),
            Type::Result { ok, error } => format!("Result<{}, {}>", ok.to_rust(), error.to_rust()),
            Type::Unknown(_) => "?".into(),
        }
    }
}
