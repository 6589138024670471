//! Layouts as text, for error messages and people.

use std::fmt;

use super::{Field, Layout, Leaf, Node};

/// The most nodes that are written before the text ends with `…`.
const NODES_MAX: usize = 512;

/// Prints a compact, readable text: `{id: u64, boss: option<u64>}`, `enum{Circle{r: f64}, Unit}`, `seq<..>`. A recursive type
/// is written with its name, and as `^Name` where it recurs.
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = &self.graph.nodes;
        let recursive = recursive(nodes, self.root);
        Writer { nodes, recursive, above: Vec::new(), left: NODES_MAX }.node(f, self.root)
    }
}

/// Which nodes lead back to themselves, directly or in a cycle of several. One pass over the graph (R. Tarjan, "Depth-first
/// search and linear graph algorithms", 1972), because a peer decides how often a text is written.
pub(super) fn recursive(nodes: &[Node<usize>], root: usize) -> Vec<bool> {
    /// The number of the node in the order of the search, and the lowest number of an open node that it leads back to.
    #[derive(Clone, Copy)]
    struct Met {
        first: usize,
        back_to: usize,
        is_open: bool,
    }
    let mut recursive = vec![false; nodes.len()];
    let mut met: Vec<Option<Met>> = vec![None; nodes.len()];
    let mut open: Vec<usize> = Vec::new();
    let mut way: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut count = 0;
    let mut next = Some(root);
    loop {
        if let Some(node) = next.take() {
            met[node] = Some(Met { first: count, back_to: count, is_open: true });
            count += 1;
            open.push(node);
            let parts = nodes[node].parts().into_iter().copied().collect::<Vec<_>>();
            recursive[node] |= parts.contains(&node);
            way.push((node, parts));
        }
        let Some((node, parts)) = way.last_mut() else { return recursive };
        let node = *node;
        if let Some(part) = parts.pop() {
            match met[part] {
                None => next = Some(part),
                Some(part) if part.is_open => {
                    if let Some(own) = &mut met[node] {
                        own.back_to = own.back_to.min(part.first);
                    }
                }
                Some(_) => {}
            }
            continue;
        }
        way.pop();
        let Some(own) = met[node] else { return recursive };
        if own.back_to == own.first {
            // The open nodes from this one on are one cycle.
            let start = open.iter().rposition(|open| *open == node).unwrap_or_default();
            let circle = open.split_off(start);
            for part in &circle {
                recursive[*part] |= circle.len() > 1;
                if let Some(part) = &mut met[*part] {
                    part.is_open = false;
                }
            }
        }
        if let Some((above, _)) = way.last()
            && let Some(above) = &mut met[*above]
        {
            above.back_to = above.back_to.min(own.back_to);
        }
    }
}

struct Writer<'a> {
    nodes: &'a [Node<usize>],
    recursive: Vec<bool>,
    /// The nodes around the one being written, each with its name if it is a recursive type that has one.
    above: Vec<(usize, &'a str)>,
    left: usize,
}

impl Writer<'_> {
    fn node(&mut self, f: &mut fmt::Formatter<'_>, index: usize) -> fmt::Result {
        let Some(left) = self.left.checked_sub(1) else { return f.write_str("…") };
        self.left = left;
        let node = &self.nodes[index];
        let label = match node {
            Node::Newtype { name, .. } | Node::Product { name, .. } | Node::Enum { name, .. } => *name,
            _ => "",
        };
        // If several types make up the cycle, it ends at one with a name.
        if let Some(start) = self.above.iter().position(|(above, _)| *above == index)
            && (!label.is_empty() || self.above[start..].iter().all(|(_, name)| name.is_empty()))
        {
            return write!(f, "^{label}");
        }
        let label = if self.recursive[index] { label } else { "" };
        self.above.push((index, label));
        match node {
            Node::Leaf(leaf) => f.write_str(leaf.name())?,
            Node::Opaque { name, base: None } => write!(f, "opaque<{name}>")?,
            Node::Opaque { name, base: Some(base) } => write!(f, "opaque<{name}: {}>", base.name())?,
            Node::Unsupported { .. } => f.write_str("unsupported")?,
            Node::Uninhabited => f.write_str("!")?,
            Node::Unreached(unreached) => write!(f, "unreached<{}>", unreached.place)?,
            Node::Newtype { inner, .. } if label.is_empty() => self.node(f, *inner)?,
            Node::Newtype { inner, .. } => self.list(f, label, ["(", ")"], &[("", *inner)])?,
            Node::Optional(inner) => self.list(f, "option", ["<", ">"], &[("", *inner)])?,
            Node::Seq(element) => self.list(f, "seq", ["<", ">"], &[("", *element)])?,
            Node::Map(key, value) => self.list(f, "map", ["<", ">"], &[("", *key), ("", *value)])?,
            Node::Array(element, len) => {
                f.write_str("[")?;
                self.node(f, *element)?;
                write!(f, "; {len}]")?;
            }
            Node::Stream(item, error) if matches!(&self.nodes[*error], Node::Leaf(Leaf::Unit)) => {
                self.list(f, "stream", ["<", ">"], &[("", *item)])?;
            }
            Node::Stream(item, error) => {
                self.list(f, "stream", ["<", ">"], &[("", *item), ("", *error)])?;
            }
            Node::Product { fields, .. } => self.fields(f, label, fields)?,
            Node::Enum { variants, .. } => {
                f.write_str(if label.is_empty() { "enum" } else { "enum " })?;
                write!(f, "{label}{{")?;
                for (index, variant) in variants.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { ", " })?;
                    match variant.fields.as_deref() {
                        None => write!(f, "{}(!)", variant.name)?,
                        Some([]) => f.write_str(variant.name)?,
                        Some(fields) => self.fields(f, variant.name, fields)?,
                    }
                }
                f.write_str("}")?;
            }
        }
        self.above.pop();
        Ok(())
    }

    fn fields(&mut self, f: &mut fmt::Formatter<'_>, label: &str, fields: &[Field<usize>]) -> fmt::Result {
        let named = fields.iter().any(|field| !field.name.is_empty());
        let brackets = if named { ["{", "}"] } else { ["(", ")"] };
        let parts: Vec<_> = fields.iter().map(|field| (field.name, field.layout)).collect();
        self.list(f, label, brackets, &parts)
    }

    fn list(
        &mut self,
        f: &mut fmt::Formatter<'_>,
        label: &str,
        [open, close]: [&str; 2],
        parts: &[(&str, usize)],
    ) -> fmt::Result {
        write!(f, "{label}{open}")?;
        for (index, (name, part)) in parts.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            if !name.is_empty() {
                write!(f, "{name}: ")?;
            }
            self.node(f, *part)?;
        }
        f.write_str(close)
    }
}
