//! Puts every mutant of a list behind a switch, so that one build has them all: `switches LIST UNVIABLE ROOT`.
//!
//! LIST is what `cargo mutants --list --json` says; a mutant's number is its place there. UNVIABLE is a file with the numbers of
//! those that do not compile. The files beneath ROOT are written anew; `crate::mutant::is(number)` asks which mutant is on.
//! Prints the numbers of those that it did not find.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use proc_macro2::{LineColumn, TokenStream};
use quote::ToTokens;
use serde::Deserialize;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Arm, BinOp, Block, Expr, ExprIf, ExprMatch, ExprStruct, ImplItemFn, ItemFn, ItemMod, Pat, Stmt, TraitItemFn,
    parse_file, parse_quote, parse_str, parse2,
};

#[derive(Deserialize)]
struct Listed {
    file: String,
    genre: String,
    span: Span,
    replacement: String,
}

#[derive(Deserialize)]
struct Span {
    start: Position,
}

#[derive(Clone, Copy, Deserialize, Eq, Hash, PartialEq)]
struct Position {
    line: usize,
    column: usize,
}

impl From<LineColumn> for Position {
    fn from(place: LineColumn) -> Self {
        Self { line: place.line, column: place.column + 1 }
    }
}

#[derive(Clone)]
struct Mutant {
    number: usize,
    replacement: String,
}

/// The mutants of a file that were not met yet.
#[derive(Default)]
struct Switches(HashMap<(String, Position), Vec<Mutant>>);

impl Switches {
    fn take(&mut self, genre: &str, node: &impl Spanned) -> Vec<Mutant> {
        self.0.remove(&(genre.to_owned(), node.span().start().into())).unwrap_or_default()
    }

    fn body(&mut self, block: &mut Block) {
        let mutants = block.stmts.first().map(|first| self.take("FnValue", first)).unwrap_or_default();
        visit_mut::visit_block_mut(self, block);
        for Mutant { number, replacement } in mutants {
            let value: Expr = parse_str(&replacement).expect("a value");
            block.stmts.insert(0, parse_quote! { if crate::mutant::is(#number) { return #value; } });
        }
    }

    /// A chain of operators as it stands in the text: one that is replaced may bind otherwise.
    fn chain(&mut self, chain: &Expr) -> Expr {
        let (mut operands, mut operators) = (Vec::new(), Vec::new());
        flatten(chain, &mut operands, &mut operators);
        for operand in &mut operands {
            self.visit_expr_mut(operand);
            *operand = parse_quote! { (#operand) };
        }
        let joined = |operators: &[BinOp]| -> syn::Result<Expr> {
            let mut tokens = TokenStream::new();
            for (index, operand) in operands.iter().enumerate() {
                if index > 0 {
                    operators[index - 1].to_tokens(&mut tokens);
                }
                operand.to_tokens(&mut tokens);
            }
            parse2(tokens)
        };
        let mut expr = joined(&operators).expect("it was one");
        for index in 0..operators.len() {
            for Mutant { number, replacement } in self.take("BinaryOperator", &operators[index]) {
                let mut replaced = operators.clone();
                replaced[index] = parse_str(&replacement).expect("an operator");
                // As in `x as u8 < y`: that is not Rust.
                let mutated = joined(&replaced).unwrap_or_else(|_| parse_quote! { compile_error!("unviable") });
                expr = switch(number, mutated, expr);
            }
        }
        expr
    }

    /// Without the arm the others must do, which the compiler checks in a match of its own.
    fn arms(&mut self, expr: &mut ExprMatch) -> Expr {
        let deleted: Vec<_> = expr.arms.iter().map(|arm| self.take("MatchArm", arm)).collect();
        visit_mut::visit_expr_match_mut(self, expr);
        let without = |index| {
            let mut others = expr.clone();
            others.arms.remove(index);
            Expr::Match(others)
        };
        deletions(&deleted, Expr::Match(expr.clone()), without)
    }

    fn fields(&mut self, expr: &mut ExprStruct) -> Expr {
        let deleted: Vec<_> = expr.fields.iter().map(|field| self.take("StructField", field)).collect();
        visit_mut::visit_expr_struct_mut(self, expr);
        let without = |index| {
            let fields = expr.fields.iter().enumerate();
            let fields = fields.filter(|(place, _)| *place != index).map(|(_, field)| field.clone()).collect();
            Expr::Struct(ExprStruct { fields, ..expr.clone() })
        };
        deletions(&deleted, Expr::Struct(expr.clone()), without)
    }
}

/// An `if` that asks which mutant is on.
fn switch(number: usize, mutated: Expr, original: Expr) -> Expr {
    let mut switch: ExprIf = parse_quote! { if crate::mutant::is(#number) {} else {} };
    switch.then_branch.stmts = vec![Stmt::Expr(mutated, None)];
    if let Some((_, Expr::Block(otherwise))) = switch.else_branch.as_mut().map(|(token, block)| (token, &mut **block)) {
        otherwise.block.stmts = vec![Stmt::Expr(original, None)];
    }
    Expr::If(switch)
}

/// The whole, or without one of its parts.
fn deletions(deleted: &[Vec<Mutant>], whole: Expr, without: impl Fn(usize) -> Expr) -> Expr {
    let mut switched = whole;
    for (index, mutants) in deleted.iter().enumerate() {
        for Mutant { number, .. } in mutants {
            switched = switch(*number, without(index), switched);
        }
    }
    switched
}

impl VisitMut for Switches {
    fn visit_item_fn_mut(&mut self, function: &mut ItemFn) {
        self.body(&mut function.block);
    }

    fn visit_impl_item_fn_mut(&mut self, function: &mut ImplItemFn) {
        self.body(&mut function.block);
    }

    fn visit_trait_item_fn_mut(&mut self, function: &mut TraitItemFn) {
        if let Some(body) = &mut function.default {
            self.body(body);
        }
    }

    fn visit_item_mod_mut(&mut self, module: &mut ItemMod) {
        if module.ident != "tests" {
            visit_mut::visit_item_mod_mut(self, module);
        }
    }

    fn visit_arm_mut(&mut self, arm: &mut Arm) {
        let guard =
            if let Pat::Guard(guarded) = &arm.pat { self.take("MatchArmGuard", &*guarded.guard) } else { Vec::new() };
        visit_mut::visit_arm_mut(self, arm);
        if let Pat::Guard(guarded) = &mut arm.pat {
            for Mutant { number, replacement } in guard {
                let value: Expr = parse_str(&replacement).expect("true or false");
                *guarded.guard = switch(number, value, (*guarded.guard).clone());
            }
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        *expr = match expr {
            Expr::Binary(_) => self.chain(expr),
            Expr::Match(inner) => self.arms(inner),
            Expr::Struct(inner) => self.fields(inner),
            Expr::Unary(unary) => {
                let mutants = self.take("UnaryOperator", &unary.op);
                visit_mut::visit_expr_unary_mut(self, unary);
                let (operand, mut switched) = (unary.expr.clone(), Expr::Unary(unary.clone()));
                for Mutant { number, .. } in mutants {
                    switched = switch(number, (*operand).clone(), switched);
                }
                switched
            }
            _ => return visit_mut::visit_expr_mut(self, expr),
        };
    }
}

fn flatten(expr: &Expr, operands: &mut Vec<Expr>, operators: &mut Vec<BinOp>) {
    if let Expr::Binary(binary) = expr {
        flatten(&binary.left, operands, operators);
        operators.push(binary.op);
        flatten(&binary.right, operands, operators);
    } else {
        operands.push(expr.clone());
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, list, unviable, root] = arguments.as_slice() else { panic!("switches LIST UNVIABLE ROOT") };
    let listed: Vec<Listed> = serde_json::from_slice(&fs::read(list).expect("the list")).expect("a list");
    let unviable = fs::read_to_string(unviable).unwrap_or_default();
    let unviable: Vec<usize> = unviable.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    let mut files = BTreeMap::<String, Switches>::new();
    for (number, Listed { file, genre, span, replacement }) in listed.into_iter().enumerate() {
        if !unviable.contains(&number) {
            let switches = files.entry(file).or_default();
            switches.0.entry((genre, span.start)).or_default().push(Mutant { number, replacement });
        }
    }
    for (file, mut switches) in files {
        let path = Path::new(root).join(file);
        let mut source = parse_file(&fs::read_to_string(&path).expect("a source")).expect("Rust");
        switches.visit_file_mut(&mut source);
        fs::write(&path, prettyplease::unparse(&source)).expect("written");
        for mutant in switches.0.values().flatten() {
            println!("{}", mutant.number);
        }
    }
}
