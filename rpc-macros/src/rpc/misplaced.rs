//! `#[rpc]` on an item that is no trait. The options of a trait are often copied into its implementations, where nothing reads them.

use syn::{Attribute, FnArg, ImplItem, Item, Signature};

use crate::errors::Errors;

/// Removes the copied options in the item, reports each, and returns the message about `#[rpc]` itself.
pub(super) fn report(item: &mut Item, errors: &mut Errors) -> &'static str {
    match item {
        Item::Impl(item) => {
            for item in &mut item.items {
                if let ImplItem::Fn(function) = item {
                    remove_options(&mut function.attrs, errors);
                    remove_options_of_parameters(&mut function.sig, errors);
                }
            }
            ON_OTHERS
        }
        Item::Fn(function) => {
            remove_options_of_parameters(&mut function.sig, errors);
            let is_method = function.sig.inputs.iter().any(|input| matches!(input, FnArg::Receiver(_)));
            if is_method { ON_A_METHOD } else { ON_OTHERS }
        }
        _ => ON_OTHERS,
    }
}

const ON_OTHERS: &str = "`#[rpc]` goes on a trait; implement that trait with a plain `impl` and no attribute";

const ON_A_METHOD: &str =
    "the trait alone has options, and its implementations follow them; remove `#[rpc(…)]` here";

fn remove_options_of_parameters(signature: &mut Signature, errors: &mut Errors) {
    for input in &mut signature.inputs {
        match input {
            FnArg::Typed(typed) => remove_options(&mut typed.attrs, errors),
            FnArg::Receiver(receiver) => remove_options(&mut receiver.attrs, errors),
        }
    }
}

fn remove_options(attributes: &mut Vec<Attribute>, errors: &mut Errors) {
    attributes.retain(|attribute| {
        let is_option = attribute.path().segments.last().is_some_and(|last| last.ident == "rpc");
        if is_option {
            errors.push(attribute, ON_A_METHOD);
        }
        !is_option
    });
}
