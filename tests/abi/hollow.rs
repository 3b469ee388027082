//! Types that have tails or members without bytes, counted: a generator that made none would prove
//! nothing of them.
use portcullis::signature::{ExprKind, Record, Type, TypeKind};

/// From here on the special records of the generator are such types.
pub const FIRST: usize = 17;

/// Counts of values that have tails or members without bytes.
#[derive(Debug, Default)]
pub struct Hollow {
    /// Flexible array members.
    pub flexible: usize,
    /// Arrays of no elements.
    pub no_elements: usize,
    /// Records without members.
    pub empty: usize,
}

impl Hollow {
    /// Counts what is in a type, once each.
    pub fn count(&mut self, of: &Type) {
        let is_flexible = |ty: &Type| matches!(ty.kind, TypeKind::Array { length: None, .. });
        self.flexible += usize::from(holds(of, &is_flexible));
        self.no_elements += usize::from(holds(of, &has_no_elements));
        let is_empty = |ty: &Type| matches!(&ty.kind, TypeKind::Record(Record { body: Some(body), .. }) if body.fields.is_empty());
        self.empty += usize::from(holds(of, &is_empty));
    }

    /// Whether there were so many of each.
    pub fn assert(&self, least: usize) {
        assert!(self.flexible.min(self.no_elements).min(self.empty) >= least, "{self:?}");
    }
}

/// Whether it is `T name[0]`.
pub fn has_no_elements(of: &Type) -> bool {
    let TypeKind::Array { length: Some(length), .. } = &of.kind else { return false };
    length.kind == ExprKind::Integer(0)
}

/// Whether a type, or one that it holds by value, is one of those.
pub fn holds(of: &Type, is_one: &dyn Fn(&Type) -> bool) -> bool {
    is_one(of)
        || match &of.kind {
            TypeKind::Array { element, .. } => holds(element, is_one),
            TypeKind::Record(Record { body: Some(body), .. }) => {
                body.fields.iter().any(|field| holds(&field.ty, is_one))
            }
            _ => false,
        }
}
