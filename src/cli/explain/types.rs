//! Types: how large each value is, on both sides.
use super::drawing;
use super::section::Section;
use super::subject::Subject;
use crate::cli::args::Part;
use crate::cli::report::HEADING;
use crate::cli::table::{Cell, Table};
use portcullis::plan::Plan;
use portcullis::plan::abi::Abi;
use portcullis::plan::layout::{self, DataModel, extent_of};
use portcullis::signature::{Prototype, Type, TypeKind};
use std::collections::HashSet;

/// Types, and structs side by side.
pub fn section(subject: &Subject, plan: Option<&Plan>, model: DataModel, abi: Abi) -> Section {
    let about = "How large each type is in the guest and here: what differs is converted. Structs field by field.";
    let mut section = Section::new(Part::Types, "types", about, subject.types(model, abi));
    let sides = [layout::Target::Guest(model), layout::Target::Host(abi)];
    for ty in records(&subject.prototype) {
        if let Ok(text) = layout::describe(ty, &subject.scope, abi) {
            section.text.push('\n');
            section.text.push_str(&text);
        }
        let names = [guest(model), abi.name()];
        section.drawings.extend(drawing::beside(ty, &subject.scope, plan, sides, names));
    }
    section
}

fn guest(model: DataModel) -> &'static str {
    match model {
        DataModel::Ilp32 => "wasm32",
        DataModel::Lp64 => "wasm64",
    }
}

impl Subject {
    /// A line a value: the result, each parameter, and what pointers point at.
    fn types(&self, model: DataModel, abi: Abi) -> String {
        let mut table = Table::default();
        let heads = ["", "type", guest(model), abi.name()];
        table.row(heads.map(|head| Cell::styled(head, HEADING)));
        for (number, param) in self.prototype.function.params.iter().enumerate() {
            let name = match &param.name {
                Some(name) => name.to_string(),
                None => format!("({})", number + 1),
            };
            self.value(&name, &param.ty, model, abi, &mut table);
        }
        self.value("result", &self.prototype.function.result, model, abi, &mut table);
        table.show(0)
    }

    fn value(&self, name: &str, ty: &Type, model: DataModel, abi: Abi, table: &mut Table) {
        let size = |target| match extent_of(ty, &self.scope, target) {
            Ok(extent) => bytes(extent.size),
            Err(_) => String::new(),
        };
        let sizes = (size(layout::Target::Guest(model)), size(layout::Target::Host(abi)));
        let spelled = ty.as_written().to_string();
        table.row([name.into(), spelled.into(), sizes.0.into(), sizes.1.into()]);
        if let Some(pointee) = ty.pointee()
            && extent_of(pointee, &self.scope, layout::Target::Host(abi)).is_ok()
        {
            self.value(&format!("*{name}"), pointee, model, abi, table);
        }
    }
}

/// The structs and unions with a body that a prototype mentions, once each.
fn records(prototype: &Prototype) -> Vec<&Type> {
    let function = &prototype.function;
    let types = function.params.iter().map(|param| &param.ty).chain([&function.result]);
    let mut seen = HashSet::new();
    let innermost = types.map(|mut ty| {
        while let Some(pointee) = ty.pointee() {
            ty = pointee;
        }
        ty
    });
    innermost
        .filter(|ty| matches!(&ty.kind, TypeKind::Record(record) if seen.insert(record)))
        .collect()
}

fn bytes(size: u64) -> String {
    if size == 1 { "1 byte".to_owned() } else { format!("{size} bytes") }
}
