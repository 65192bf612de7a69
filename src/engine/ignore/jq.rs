//! jq path expressions. `path(EXPR)` is evaluated and the paths are deleted by [`Places`]: jaq's own `del`
//! differs from jq's exactly where ignore rules need it (missing paths, several positions of one list).
//!
//! Expressions come from users and run inside the controller, where nothing can interrupt an evaluation.
//! So only the part of the language that finds places is let in: no definitions, loops or assignments,
//! nothing that multiplies, and none of the functions that reach outside (`halt`, `env`, `input`, `now`).

use jaq_core::load::lex::{Lexer, StrPart, Token};
use jaq_core::load::parse::{BinaryOp, Parser, Pattern, Term};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, ops, path, unwrap_valr};
use jaq_json::{Val, read};
use serde_json::Value;

use super::places::Places;

/// Longest expression, in bytes; also bounds how deep the parser recurses.
const LONGEST: usize = 1024;
/// Deepest nesting of brackets and prefixes.
const DEEPEST: usize = 32;
/// Most places that one expression may find in one object.
const MOST_PLACES: usize = 10_000;

/// Functions that finish on any input, in time bounded by its size.
const FUNCTIONS: &[&str] = &[
    "add",
    "all",
    "any",
    "arrays",
    "ascii_downcase",
    "ascii_upcase",
    "booleans",
    "contains",
    "empty",
    "endswith",
    "error",
    "false",
    "first",
    "flatten",
    "from_entries",
    "fromjson",
    "getpath",
    "group_by",
    "has",
    "in",
    "index",
    "indices",
    "inside",
    "isempty",
    "iterables",
    "join",
    "keys",
    "keys_unsorted",
    "last",
    "length",
    "limit",
    "ltrimstr",
    "map",
    "max",
    "max_by",
    "min",
    "min_by",
    "not",
    "nth",
    "null",
    "nulls",
    "numbers",
    "objects",
    "paths",
    "recurse",
    "reverse",
    "rindex",
    "rtrimstr",
    "scalars",
    "select",
    "sort",
    "sort_by",
    "split",
    "startswith",
    "strings",
    "test",
    "to_entries",
    "tojson",
    "tonumber",
    "tostring",
    "trim",
    "true",
    "type",
    "unique",
    "unique_by",
    "utf8bytelength",
    "values",
    "with_entries",
];

type Data = data::JustLut<Val>;

/// A compiled expression.
pub(super) struct Expression {
    filter: jaq_core::Filter<Data>,
}

impl Expression {
    /// Compiles `path(code)`; the error says what is wrong with `code`.
    pub(super) fn compile(code: &str) -> Result<Self, String> {
        check(code)?;
        let arena = Arena::default();
        let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        // The line breaks keep a comment at the end of the expression from swallowing the bracket.
        let program = format!("path(\n{code}\n)");
        let modules = Loader::new(defs)
            .load(&arena, File { code: &*program, path: () })
            .map_err(|_| "it is not a jq expression".to_owned())?;
        let filter = Compiler::default().with_funs(funs).compile(modules).map_err(|errors| {
            let mut undefined = errors.into_iter().flat_map(|(_, errors)| errors);
            undefined
                .next()
                .map_or_else(String::new, |(name, what)| format!("there is no {} `{name}`", what.as_str()))
        })?;
        Ok(Self { filter })
    }

    /// Adds the places that the expression finds in `value`. An expression that fails on an object finds
    /// nothing there, as in Argo CD: it may be written for other objects of the rule.
    pub(super) fn find(&self, value: &Value, places: &mut Places) {
        let Ok(input) = read::parse_single(value.to_string().as_bytes()) else { return };
        let context = Ctx::<Data>::new(&self.filter.lut, Vars::new([]));
        let outputs = self.filter.id.run((context, input)).map(unwrap_valr).take(MOST_PLACES + 1);
        let Ok(paths) = outputs.collect::<Result<Vec<_>, _>>() else { return };
        if paths.len() > MOST_PLACES {
            return;
        }
        for path in paths {
            match serde_json::from_str::<Vec<Value>>(&path.to_string()) {
                Ok(path) if !path.is_empty() => places.add_path(&path, value),
                _ => {}
            }
        }
    }
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Expression")
    }
}

/// Checks that `code` is an expression of the admitted part of jq.
fn check(code: &str) -> Result<(), String> {
    if code.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let tokens = Lexer::new(code).lex().map_err(|errors| {
        let (expected, found) = &errors[0];
        format!("expected {} {}", expected.as_str(), at(found))
    })?;
    if depth(&tokens) > DEEPEST {
        return Err(format!("it is nested deeper than {DEEPEST} levels"));
    }
    let term = Parser::new(&tokens).parse(Parser::term).map_err(|errors| {
        let (expected, found) = &errors[0];
        format!("expected {} {}", expected.as_str(), at(found.map_or("", |token| token.0)))
    })?;
    admit(&term)
}

fn at(found: &str) -> String {
    let short: String = found.chars().take(20).collect();
    if short.is_empty() { "at the end".into() } else { format!("at `{short}`") }
}

/// Bounds the recursion of the parser: nested blocks, and words and signs that may stand before a term.
fn depth(tokens: &[Token<&str>]) -> usize {
    use jaq_core::load::lex::Tok;
    let prefixes =
        tokens.iter().filter(|token| matches!(token.0, "-" | "try" | "if" | "label" | "def")).count();
    let nested = |token: &Token<&str>| match &token.1 {
        Tok::Block(tokens) => depth(tokens),
        Tok::Str(parts) => parts
            .iter()
            .map(|part| if let StrPart::Term(token) = part { depth(std::slice::from_ref(token)) } else { 0 })
            .max()
            .unwrap_or(0),
        _ => 0,
    };
    1 + prefixes + tokens.iter().map(nested).max().unwrap_or(0)
}

fn admit(term: &Term<&str>) -> Result<(), String> {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Var(_) | Term::Break(_) => Ok(()),
        Term::Str(None, parts) => admit_all(parts.iter().filter_map(|part| match part {
            StrPart::Term(term) => Some(term),
            _ => None,
        })),
        Term::Str(Some(format), _) => refuse(format),
        Term::Arr(inner) => admit_all(inner.as_deref()),
        Term::Obj(pairs) => {
            admit_all(pairs.iter().flat_map(|(key, value)| [Some(key), value.as_ref()]).flatten())
        }
        Term::Neg(inner) | Term::Label(_, inner) => admit(inner),
        Term::BinOp(left, op, right) => {
            admit_operator(op)?;
            admit(left)?;
            admit(right)
        }
        Term::TryCatch(body, catch) => admit_all([Some(&**body), catch.as_deref()].into_iter().flatten()),
        Term::IfThenElse(branches, otherwise) => {
            admit_all(branches.iter().flat_map(|(condition, then)| [condition, then]))?;
            admit_all(otherwise.as_deref())
        }
        Term::Fold(word, ..) => refuse(word),
        Term::Def(..) => refuse("def"),
        Term::Call(name, arguments) => {
            let endless = *name == "recurse" && !arguments.is_empty();
            if endless || !FUNCTIONS.contains(name) {
                return refuse(name);
            }
            admit_all(arguments)
        }
        Term::Path(head, path) => {
            admit(head)?;
            admit_all(path.0.iter().flat_map(|(part, _)| {
                match part {
                    path::Part::Index(index) => [Some(index), None],
                    path::Part::Range(start, end) => [start.as_ref(), end.as_ref()],
                }
                .into_iter()
                .flatten()
            }))
        }
    }
}

fn admit_all<'t, 's: 't>(terms: impl IntoIterator<Item = &'t Term<&'s str>>) -> Result<(), String> {
    terms.into_iter().try_for_each(admit)
}

fn admit_operator(op: &BinaryOp<&str>) -> Result<(), String> {
    match op {
        BinaryOp::Pipe(pattern) => pattern.as_ref().map_or(Ok(()), admit_pattern),
        BinaryOp::Math(ops::Math::Mul) => refuse("*"),
        BinaryOp::Comma
        | BinaryOp::Alt
        | BinaryOp::Or
        | BinaryOp::And
        | BinaryOp::Math(_)
        | BinaryOp::Cmp(_) => Ok(()),
        BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt => refuse("="),
    }
}

fn admit_pattern(pattern: &Pattern<&str>) -> Result<(), String> {
    match pattern {
        Pattern::Var(_) => Ok(()),
        Pattern::Arr(items) => items.iter().try_for_each(admit_pattern),
        Pattern::Obj(pairs) => pairs.iter().try_for_each(|(key, value)| {
            admit(key)?;
            admit_pattern(value)
        }),
    }
}

fn refuse(what: &str) -> Result<(), String> {
    Err(format!("`{what}` is not allowed here; write the paths to ignore, with conditions in select()"))
}

#[cfg(test)]
mod tests;
