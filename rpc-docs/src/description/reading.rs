//! Reads descriptions from files. Damaged, newer and inconsistent descriptions are refused with the place of the fault.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Description, FORMAT, Service, Sink, Type};

/// Why a text is not a valid description.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// The text is not JSON, or not the JSON of a description.
    #[error("the description is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// A newer version of this crate wrote it.
    #[error(
        "the description has format {found}, and this version of rpc-docs reads formats up to {FORMAT}: update rpc-docs"
    )]
    Newer {
        /// The format of the description.
        found: u32,
    },
    /// The description refers to a missing type, service or method, or contains a name twice.
    #[error("the description does not hold together: {what}")]
    Inconsistent {
        /// The fault and its place.
        what: String,
    },
}

impl Description {
    /// Reads a description.
    ///
    /// # Errors
    /// If the text is damaged, has a newer format, or refers to types, services or methods that it does not contain.
    pub fn from_json(text: &str) -> Result<Self, DescriptionError> {
        #[derive(Deserialize)]
        struct Header {
            format: u32,
        }
        // A newer format may have other fields, so the format's number is checked first.
        let found = serde_json::from_str::<Header>(text)?.format;
        if found > FORMAT || found == 0 {
            return Err(DescriptionError::Newer { found });
        }
        let description: Self = serde_json::from_str(text)?;
        description.check()?;
        Ok(description)
    }

    /// The description as pretty-printed JSON with a final line end.
    pub fn to_json(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("all keys are strings and nothing fails to serialize");
        text.push('\n');
        text
    }

    fn check(&self) -> Result<(), DescriptionError> {
        let services = distinct("service", self.services.iter().map(|service| &*service.name))?;
        let types = distinct("type", self.types.iter().map(|definition| &*definition.name))?;
        if !self.types.is_sorted_by(|one, next| one.name < next.name) {
            return Err(inconsistent("the types are not in the order of their names".into()));
        }
        let known = |place: &str, ty: &Type| {
            let mut unknown = None;
            ty.walk(&mut |part| match part {
                Type::Ref(name) if !types.contains(&**name) => unknown = Some(format!("type `{name}`")),
                Type::Object(name) if !services.contains(&**name) => {
                    unknown = Some(format!("service `{name}`"))
                }
                _ => {}
            });
            match unknown {
                Some(unknown) => {
                    Err(inconsistent(format!("{place} names the {unknown}, which is not in it")))
                }
                None => Ok(()),
            }
        };
        for definition in &self.types {
            let place = format!("type `{}`", definition.name);
            for part in definition.shape.parts().into_iter().chain(&definition.json) {
                known(&place, part)?;
            }
        }
        let methods: Methods<'_> = self
            .services
            .iter()
            .flat_map(|service| service.methods.iter().map(|method| (&*service.name, &*method.name)))
            .collect();
        for service in &self.services {
            check_service(service, &methods, &known)?;
        }
        for flow in &self.flows {
            known("a flow", &flow.ty)?;
            for source in &flow.from {
                check_method(&methods, &source.service, &source.method)?;
            }
            for sink in &flow.into {
                match sink {
                    Sink::Argument { service, method, .. } => check_method(&methods, service, method)?,
                    Sink::Target { service } => known("a flow", &Type::Object(service.clone()))?,
                }
            }
        }
        Ok(())
    }
}

/// The methods of a description, by the names of service and method.
type Methods<'a> = BTreeSet<(&'a str, &'a str)>;

fn check_service(
    service: &Service,
    methods: &Methods<'_>,
    known: &impl Fn(&str, &Type) -> Result<(), DescriptionError>,
) -> Result<(), DescriptionError> {
    distinct(&format!("method of `{}`", service.name), service.methods.iter().map(|method| &*method.name))?;
    for method in &service.methods {
        let place = format!("method `{}.{}`", service.name, method.name);
        for argument in &method.arguments {
            known(&place, &argument.value.ty)?;
        }
        known(&place, &method.result.ty)?;
        if let Some(error) = &method.error {
            known(&place, &error.ty)?;
        }
        if let Some(batch) = &method.batch {
            check_method(methods, &service.name, batch)?;
        }
        if u64::from_str_radix(&method.fingerprint, 16).is_err() {
            return Err(inconsistent(format!(
                "{place} has the fingerprint `{}`, which is none",
                method.fingerprint
            )));
        }
    }
    Ok(())
}

fn check_method(methods: &Methods<'_>, service: &str, method: &str) -> Result<(), DescriptionError> {
    match methods.contains(&(service, method)) {
        true => Ok(()),
        false => Err(inconsistent(format!("it names the method `{service}.{method}`, which is not in it"))),
    }
}

fn inconsistent(what: String) -> DescriptionError {
    DescriptionError::Inconsistent { what }
}

fn distinct<'a>(
    noun: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<BTreeSet<&'a str>, DescriptionError> {
    let mut known = BTreeSet::new();
    for name in names {
        if !known.insert(name) {
            return Err(inconsistent(format!("it has the {noun} `{name}` twice")));
        }
    }
    Ok(known)
}
