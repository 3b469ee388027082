//! Expressions of annotations, array lengths and `#define`s: C's integer expressions.
use super::super::lexer::Tok;
use super::super::{
    BinaryOp, Builtin, Diagnostic, Expr, ExprKind, Ident, Span, UnaryOp, builtin, fold,
};
use super::{Parse, Parser};
use std::sync::Arc;

/// How many operators and operands one expression may have; keeps what walks it shallow.
const MAX_NODES: usize = 256;

/// Binary operators by how tightly they bind, loosest first.
const LEVELS: [&[(&str, BinaryOp)]; 10] = [
    &[("||", BinaryOp::Or)],
    &[("&&", BinaryOp::And)],
    &[("|", BinaryOp::BitOr)],
    &[("^", BinaryOp::BitXor)],
    &[("&", BinaryOp::BitAnd)],
    &[("==", BinaryOp::Equal), ("!=", BinaryOp::NotEqual)],
    &[
        ("<", BinaryOp::Less),
        ("<=", BinaryOp::LessEqual),
        (">", BinaryOp::Greater),
        (">=", BinaryOp::GreaterEqual),
    ],
    &[("<<", BinaryOp::ShiftLeft), (">>", BinaryOp::ShiftRight)],
    &[("+", BinaryOp::Add), ("-", BinaryOp::Subtract)],
    &[("*", BinaryOp::Multiply), ("/", BinaryOp::Divide), ("%", BinaryOp::Remainder)],
];

impl BinaryOp {
    /// How tightly it binds (tighter is larger), and its spelling.
    pub(in super::super) fn spelling(self) -> (usize, &'static str) {
        let levels = LEVELS.iter().enumerate();
        levels
            .flat_map(|(level, ops)| ops.iter().map(move |(text, op)| (*op, level, *text)))
            .find(|(op, ..)| *op == self)
            .map_or((0, "?"), |(_, level, text)| (level, text))
    }
}

/// Counts the nodes of the expression that is being read.
#[derive(Default)]
struct Nodes(usize);

impl Parser<'_, '_> {
    /// Reads an expression. Names stay names; `resolve` decides which are constants.
    pub(super) fn expression(&mut self) -> Parse<Expr> {
        self.conditional(&mut Nodes::default())
    }

    /// `(e)`
    pub(super) fn expression_in_parentheses(&mut self, of: &str) -> Parse<Expr> {
        self.expect("(", &format!("after `{of}`"))?;
        let expr = self.expression()?;
        self.expect(")", &format!("after the expression of `{of}`"))?;
        Ok(expr)
    }

    /// Reads an expression that must be a constant now.
    pub(super) fn constant_expression(&mut self, what: &str) -> Parse<i128> {
        let mut expr = self.expression()?;
        self.resolve_constant(&mut expr);
        match expr.constant() {
            Some(value) => Ok(value),
            None => self.fail(Diagnostic::new(expr.span, format!("{what} has to be a constant"))),
        }
    }

    fn node(&mut self, nodes: &mut Nodes, kind: ExprKind, span: Span) -> Parse<Expr> {
        nodes.0 += 1;
        if nodes.0 > MAX_NODES {
            let error = format!("this expression has more than {MAX_NODES} operators and operands");
            return self.fail(Diagnostic::new(span, error));
        }
        fold::expr(kind, span).or_else(|error| self.fail(error))
    }

    fn conditional(&mut self, nodes: &mut Nodes) -> Parse<Expr> {
        self.nested(|p| {
            let condition = p.binary(0, nodes)?;
            if !p.eat("?") {
                return Ok(condition);
            }
            let yes = p.conditional(nodes)?;
            p.expect(":", "of `?:`")?;
            let no = p.conditional(nodes)?;
            let span = condition.span.to(no.span);
            let kind = ExprKind::Conditional(Box::new(condition), Box::new(yes), Box::new(no));
            p.node(nodes, kind, span)
        })
    }

    fn binary(&mut self, level: usize, nodes: &mut Nodes) -> Parse<Expr> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary(nodes);
        };
        let mut left = self.binary(level + 1, nodes)?;
        while let Tok::Punct(punct) = self.peek()
            && let Some((_, op)) = operators.iter().find(|(text, _)| *text == punct)
        {
            self.advance();
            let right = self.binary(level + 1, nodes)?;
            let span = left.span.to(right.span);
            let kind = ExprKind::Binary(*op, Box::new(left), Box::new(right));
            left = self.node(nodes, kind, span)?;
        }
        Ok(left)
    }

    fn unary(&mut self, nodes: &mut Nodes) -> Parse<Expr> {
        let start = self.span();
        let Tok::Punct(punct @ ("-" | "+" | "~" | "!" | "*")) = self.peek() else {
            return self.postfix(nodes);
        };
        self.advance();
        let operand = self.nested(|p| p.unary(nodes))?;
        let span = start.to(operand.span);
        let operand = Box::new(operand);
        let kind = match punct {
            "-" => ExprKind::Unary(UnaryOp::Negate, operand),
            "~" => ExprKind::Unary(UnaryOp::Complement, operand),
            "!" => ExprKind::Unary(UnaryOp::Not, operand),
            "*" => ExprKind::Deref(operand),
            // `+e` is `e`.
            _ => operand.kind,
        };
        self.node(nodes, kind, span)
    }

    fn postfix(&mut self, nodes: &mut Nodes) -> Parse<Expr> {
        let mut expr = self.primary(nodes)?;
        loop {
            if self.eat(".") {
                let field = self.ident("the name of a member")?;
                let span = expr.span.to(field.span);
                expr = self.node(nodes, ExprKind::Member(Box::new(expr), field), span)?;
            } else if self.eat("->") {
                let field = self.ident("the name of a field")?;
                let span = expr.span.to(field.span);
                expr = self.node(nodes, ExprKind::Arrow(Box::new(expr), field), span)?;
            } else if self.is("[") {
                return self.fail(
                    Diagnostic::new(self.span(), "expressions do not index")
                        .help("`*p` reads what a pointer points at, `p->f` a field of it"),
                );
            } else {
                return Ok(expr);
            }
        }
    }

    fn primary(&mut self, nodes: &mut Nodes) -> Parse<Expr> {
        let span = self.span();
        match self.peek() {
            Tok::Integer(value) => {
                self.advance();
                self.node(nodes, ExprKind::Integer(value), span)
            }
            Tok::Punct("(") => {
                self.advance();
                if self.starts_type() {
                    return self.fail(
                        Diagnostic::new(self.span(), "expressions have no casts")
                            .label("a type")
                            .help("leave it out: all arithmetic is exact, nothing wraps"),
                    );
                }
                let inner = self.conditional(nodes)?;
                self.expect(")", "to close `(`")?;
                Ok(inner)
            }
            Tok::Ident(word) => {
                self.advance();
                self.word(word, span, nodes)
            }
            _ => self.fail(self.unexpected("an expression", "")),
        }
    }

    fn word(&mut self, word: &str, span: Span, nodes: &mut Nodes) -> Parse<Expr> {
        let kind = match word {
            "return" => ExprKind::Return,
            "true" => ExprKind::Integer(1),
            "false" => ExprKind::Integer(0),
            "sizeof" => {
                let of = self.size_of(span)?;
                return self.node(nodes, of, self.since(span));
            }
            _ if self.is("(") => {
                let callee = span;
                let arguments = self.arguments(nodes)?;
                let span = self.since(callee);
                let (builtin, count) = match word {
                    "abs" => (Builtin::Abs, 1..=1),
                    "min" => (Builtin::Min, 2..=16),
                    "max" => (Builtin::Max, 2..=16),
                    _ => {
                        let name = Ident { name: Arc::from(word), span: callee };
                        return self.node(nodes, ExprKind::Call(name, arguments), span);
                    }
                };
                if !count.contains(&arguments.len()) {
                    let wanted = if *count.start() == 1 { "one argument" } else { "two or more" };
                    let error = format!("`{word}` takes {wanted}, found {}", arguments.len());
                    return self.fail(Diagnostic::new(span, error));
                }
                ExprKind::Builtin(builtin, arguments)
            }
            _ => ExprKind::Name(Ident { name: Arc::from(word), span }),
        };
        self.node(nodes, kind, self.since(span))
    }

    fn arguments(&mut self, nodes: &mut Nodes) -> Parse<Vec<Expr>> {
        self.expect("(", "")?;
        let mut arguments = Vec::new();
        if self.eat(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.conditional(nodes)?);
            if self.eat(")") {
                return Ok(arguments);
            }
            self.expect(",", "between arguments")?;
        }
    }

    fn size_of(&mut self, start: Span) -> Parse<ExprKind> {
        if !self.is("(") {
            return self.fail(
                Diagnostic::new(self.since(start), "`sizeof` takes a type in parentheses")
                    .help("write `sizeof(int)`"),
            );
        }
        self.advance();
        if !self.starts_type() {
            let error = Diagnostic::new(self.span(), "`sizeof` takes a type here, no expression");
            return self.fail(match self.peek() {
                Tok::Ident(word) => match self.names.similar_type(word) {
                    Some(similar) => error.help(format!("did you mean `{similar}`?")),
                    None => error.label("no type of this name"),
                },
                _ => error,
            });
        }
        let mut ty = self.type_name()?;
        self.expect(")", "after the type of `sizeof`")?;
        self.resolve_type(&mut ty);
        Ok(ExprKind::SizeOf(Box::new(ty)))
    }

    /// Whether a type starts here.
    pub(super) fn starts_type(&self) -> bool {
        match self.peek() {
            Tok::Ident(word) => {
                super::specifiers::is_keyword(word)
                    || self.names.typedef(word).is_some()
                    || builtin::typedef(word).is_some()
            }
            _ => false,
        }
    }
}
