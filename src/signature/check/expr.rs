//! What expressions may mention.
use super::super::diagnostic::{MAX_ERRORS, did_you_mean};
use super::super::parse::is_unknown;
use super::super::{Diagnostic, Expr, ExprKind, Ident, NoteKind, Type, TypeKind};
use super::class::Class;
use super::{Checker, Frame};

/// What an expression is.
enum Value<'a> {
    Integer,
    /// An object of that type.
    Object(&'a Type),
    /// The mistake is told.
    Broken,
}

impl<'a> Checker<'a, '_> {
    /// Checks an expression that has to be an integer. `after`: it is computed after the call.
    pub(super) fn integer(&mut self, e: &'a Expr, after: bool) {
        if let Value::Object(ty) = self.value(e, after) {
            self.must_be_integer(e, ty);
        }
    }

    fn must_be_integer(&mut self, e: &Expr, ty: &Type) {
        if is_unknown(ty) {
            return;
        }
        let error = match self.class(ty) {
            Class::Integer => return,
            Class::Object => format!("`{e}` is a pointer, an expression needs an integer"),
            class if class.is_pointer() => {
                format!("`{e}` is a pointer, an expression needs an integer")
            }
            _ => format!("`{e}` is `{ty}`, an expression needs an integer"),
        };
        let error = Diagnostic::new(e.span, error);
        let points_at_integer = ty.pointee().is_some_and(|p| self.class(p) == Class::Integer);
        self.report(if points_at_integer {
            error.help(format!("what it points at is `*{e}`"))
        } else {
            error
        });
    }

    fn value(&mut self, e: &'a Expr, after: bool) -> Value<'a> {
        match &e.kind {
            ExprKind::Integer(_) => Value::Integer,
            ExprKind::Name(name) => match self.lookup(&name.name) {
                Some(ty) if is_unknown(ty) => Value::Broken,
                Some(ty) => Value::Object(ty),
                None => {
                    let kind = match self.frames.last() {
                        Some(Frame::Fields(_)) => "field",
                        _ => "parameter",
                    };
                    let all = self.visible().into_iter().map(|(n, _)| &*n.name).collect();
                    self.unknown_name(name, kind, all);
                    Value::Broken
                }
            },
            ExprKind::Return => self.result(e, after),
            ExprKind::Deref(inner) => match self.value(inner, after) {
                Value::Object(ty) => self.deref(e, ty, after),
                Value::Integer => {
                    self.report(Diagnostic::new(e.span, format!("`{inner}` is no pointer")));
                    Value::Broken
                }
                Value::Broken => Value::Broken,
            },
            ExprKind::Arrow(inner, field) => match self.value(inner, after) {
                Value::Object(ty) => self.arrow(inner, ty, field),
                Value::Integer => {
                    self.report(Diagnostic::new(inner.span, format!("`{inner}` is no pointer")));
                    Value::Broken
                }
                Value::Broken => Value::Broken,
            },
            ExprKind::Member(inner, member) => match self.value(inner, after) {
                Value::Object(ty) => self.member(inner, ty, member),
                Value::Integer => {
                    let error = format!("`{inner}` is an integer, it has no members");
                    self.report(Diagnostic::new(inner.span, error));
                    Value::Broken
                }
                Value::Broken => Value::Broken,
            },
            ExprKind::SizeOf(ty) => {
                if matches!(self.class(ty), Class::Void | Class::Function)
                    || matches!(&ty.kind, TypeKind::Record(r) if self.names.body(r).is_none())
                {
                    self.report(Diagnostic::new(e.span, format!("`{ty}` has no size")));
                }
                Value::Integer
            }
            ExprKind::Unary(_, operand) => self.operands([&**operand], after),
            ExprKind::Binary(_, a, b) => self.operands([&**a, &**b], after),
            ExprKind::Conditional(c, a, b) => self.operands([&**c, &**a, &**b], after),
            ExprKind::Builtin(_, arguments) => self.operands(arguments, after),
            ExprKind::Call(_, arguments) => {
                for argument in arguments {
                    // The call's own arguments are passed on as they are, pointers too.
                    if !matches!(argument.kind, ExprKind::Name(_) | ExprKind::Return) {
                        self.integer(argument, after);
                    } else {
                        self.value(argument, after);
                    }
                }
                Value::Integer
            }
        }
    }

    fn operands(&mut self, operands: impl IntoIterator<Item = &'a Expr>, after: bool) -> Value<'a> {
        for operand in operands {
            self.integer(operand, after);
        }
        Value::Integer
    }

    fn result(&mut self, e: &Expr, after: bool) -> Value<'a> {
        let result = self.frames.iter().rev().find_map(|frame| match frame {
            Frame::Function(function) => Some(&function.result),
            Frame::Fields(_) => None,
        });
        match result {
            None => {
                self.report(Diagnostic::new(e.span, "there is no result here"));
                Value::Broken
            }
            Some(ty) if ty.kind == TypeKind::Void => {
                self.report(
                    Diagnostic::new(e.span, "there is no result").label("it returns `void`"),
                );
                Value::Broken
            }
            Some(_) if !after => {
                self.report(
                    Diagnostic::new(e.span, "the result is not known before the call")
                        .help("use a parameter: what native code gets is checked beforehand"),
                );
                Value::Broken
            }
            Some(ty) => Value::Object(ty),
        }
    }

    fn deref(&mut self, e: &Expr, pointer: &'a Type, after: bool) -> Value<'a> {
        let Some(pointee) = pointer.pointee() else {
            let error = format!("there is nothing behind `{e}`");
            self.report(
                Diagnostic::new(e.span, error).label(format!("this is `{pointer}`, no pointer")),
            );
            return Value::Broken;
        };
        match self.class(pointer) {
            Class::Handle | Class::Callback | Class::VoidPointer => {
                let error = format!("`{e}` cannot be read: `{}`", super::notes::bare(pointer));
                self.report(Diagnostic::new(e.span, error));
                Value::Broken
            }
            _ if !after && pointer.has(|kind| *kind == NoteKind::Out) => {
                self.report(
                    Diagnostic::new(e.span, format!("`{e}` is not known before the call"))
                        .label("it is `_Out_`")
                        .help("make it `_Inout_` if the guest says the size there"),
                );
                Value::Broken
            }
            _ => Value::Object(pointee),
        }
    }

    fn arrow(&mut self, inner: &Expr, pointer: &'a Type, field: &Ident) -> Value<'a> {
        let Some(TypeKind::Record(record)) = pointer.pointee().map(|p| &p.kind) else {
            let error = format!("`{inner}` does not point at a struct");
            self.report(Diagnostic::new(inner.span, error).label(format!("this is `{pointer}`")));
            return Value::Broken;
        };
        let tag = record.tag.as_ref();
        let body = match (&record.body, tag) {
            (Some(body), _) => Some(body),
            (None, Some(tag)) => self.names.record_ref(record.kind, &tag.name),
            (None, None) => None,
        };
        let Some(body) = body else {
            self.report(
                Diagnostic::new(inner.span, format!("what `{inner}` points at is opaque"))
                    .help(format!("`{inner}.{field}` reads what `__remember` kept with a handle")),
            );
            return Value::Broken;
        };
        self.field(&body.fields, field)
    }

    fn member(&mut self, inner: &Expr, ty: &'a Type, member: &Ident) -> Value<'a> {
        match &ty.kind {
            // Whether anyone remembers it is for the interface to say.
            _ if self.class(ty) == Class::Handle => Value::Integer,
            TypeKind::Record(record) => match &record.body {
                Some(body) => self.field(&body.fields, member),
                None => Value::Broken,
            },
            TypeKind::Pointer(_) => {
                self.report(
                    Diagnostic::new(inner.span, format!("`{inner}` is a pointer"))
                        .help(format!("write `{inner}->{member}`")),
                );
                Value::Broken
            }
            _ => {
                let error = format!("`{inner}` is `{ty}`, it has no members");
                self.report(Diagnostic::new(inner.span, error));
                Value::Broken
            }
        }
    }

    fn field(&mut self, fields: &'a [super::Field], name: &Ident) -> Value<'a> {
        match fields.iter().find(|field| field.name.as_ref() == Some(name)) {
            Some(field) => Value::Object(&field.ty),
            None => {
                let all = fields.iter().filter_map(|f| f.name.as_ref()).map(|n| &*n.name);
                self.unknown_name(name, "field", all.collect());
                Value::Broken
            }
        }
    }

    /// The names that can be used here, innermost first.
    pub(super) fn visible(&self) -> Vec<(&'a Ident, &'a Type)> {
        self.frames.iter().rev().flat_map(|frame| frame.names()).collect()
    }

    pub(super) fn lookup(&self, name: &str) -> Option<&'a Type> {
        self.visible().into_iter().find(|(known, _)| &*known.name == name).map(|(_, ty)| ty)
    }

    pub(super) fn unknown_name(&mut self, name: &Ident, kind: &str, known: Vec<&str>) {
        // A parameter that could not be read may be the one that is meant.
        let broken = self.frames.iter().any(|frame| match frame {
            Frame::Function(f) => f.params.iter().any(|p| p.name.is_none() && is_unknown(&p.ty)),
            Frame::Fields(_) => false,
        });
        if broken || self.errors.len() >= MAX_ERRORS {
            return;
        }
        let error = Diagnostic::new(name.span, format!("there is no {kind} `{name}`"));
        let similar = did_you_mean(&name.name, known.iter().copied());
        self.report(match similar {
            Some(similar) => error.help(format!("did you mean `{similar}`?")),
            None if known.is_empty() => error.label(format!("no {kind} has a name")),
            None => {
                let names: Vec<String> = known.iter().take(8).map(|n| format!("`{n}`")).collect();
                let there = if names.len() == 1 { "there is only" } else { "there are" };
                error.help(format!("{there} {}", names.join(", ")))
            }
        });
    }
}

/// Whether an expression mentions a parameter or field of that name.
pub(super) fn mentions(e: &Expr, name: &str) -> bool {
    any_name(e, &|found| found == name)
}

/// Whether an expression mentions any parameter or field, or the result.
pub(super) fn mentions_names(e: &Expr) -> bool {
    any_name(e, &|_| true)
}

fn any_name(e: &Expr, test: &dyn Fn(&str) -> bool) -> bool {
    let mut found = false;
    e.each(&mut |e| match &e.kind {
        ExprKind::Name(name) => found |= test(&name.name),
        ExprKind::Return => found |= test("return"),
        _ => {}
    });
    found
}
