//! The table of imports: each module imports only what stands above it, and knows of the world outside no more than its row
//! tells. Paths are parsed and resolved, so that no comment, text or other name is taken for one.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests are no library, and may panic"
)]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};
use syn::{Attribute, ExprMethodCall, Ident, ItemMod, ItemUse, LitByteStr, LitStr, Macro, UseTree};

/// Every module with what it imports, and what it knows of the world outside; from the top down. A file or folder that has no
/// row belongs to the module around it.
///
/// A row says exactly what is so: [`a_module_imports_what_its_row_tells`] prints those that do not, as they would have to be.
const TABLE: &[(&str, &str, &str)] = &[
    ("text", "", ""),
    ("unicode", "text", ""),
    ("names", "text unicode", ""),
    ("nametable", "names", ""),
    ("time", "", ""),
    ("wire", "names time", ""),
    ("limits", "", ""),
    ("register/entry", "names time", ""),
    ("settings", "limits register/entry", ""),
    ("memory", "limits settings", ""),
    ("meters", "names limits time", ""),
    ("metrics", "wire", ""),
    ("event", "names settings time register/entry", ""),
    ("request", "names settings event register/entry", ""),
    ("register", "names nametable time limits register/entry event", ""),
    ("effect", "names limits settings event register", ""),
    ("guestbook", "names time register/entry", ""),
    ("rooms", "names limits meters event effect guestbook", ""),
    ("presence", "names limits event", ""),
    ("typing", "names limits time rooms", ""),
    ("files", "names limits time rooms", ""),
    ("people", "names nametable limits time meters event rooms typing", ""),
    ("rules", "unicode names settings time register/entry event register guestbook", ""),
    ("policy", "names time settings register/entry event register rooms files people rules", ""),
    (
        "hub",
        "names limits settings time meters metrics register/entry event request effect guestbook rooms presence typing files people register rules policy",
        "",
    ),
    ("erase", "", ""),
    ("telnet", "limits erase", ""),
    ("linebuf", "limits erase", ""),
    ("proxy", "names limits", ""),
    ("framing", "linebuf telnet proxy", ""),
    ("commands", "text names wire limits settings register/entry event request", ""),
    ("plain", "text names time wire limits settings register/entry event request linebuf commands", ""),
    ("dialect", "names linebuf event request plain", ""),
    ("home", "names limits", "files threads system log"),
    ("channel", "", "threads clock instants"),
    ("control", "limits home", "sockets files system log"),
    ("stderr", "text time limits", "threads system log"),
    ("host", "", "sockets"),
    ("supervisor", "limits", "sockets clock instants system log"),
    ("keeper", "limits event home channel", "threads clock instants log"),
    (
        "journal",
        "text names time limits settings event effect home channel keeper",
        "sockets files threads clock instants system log",
    ),
    (
        "ledger",
        "text names time limits settings event register effect home channel keeper",
        "sockets files threads clock instants log",
    ),
    ("passwords", "limits register effect home channel", "sockets threads log"),
    ("spool", "names time event effect home channel", "sockets files threads log"),
    ("signals", "", "sockets files signals system"),
    ("peer", "names", "sockets"),
    ("tls", "names time limits home", "files clock log"),
    ("web", "names limits register/entry host peer", "sockets log"),
    ("scrape", "names limits metrics channel host peer web", "sockets threads clock instants log"),
    ("transport", "names time limits meters proxy peer tls web", "sockets system log"),
    (
        "listener",
        "names time limits register/entry home control peer tls web transport",
        "sockets threads clock instants system log",
    ),
    ("reload", "limits effect home channel control tls web listener", "sockets threads clock instants log"),
    ("ctl", "wire limits home control listener", "sockets files clock instants"),
    ("outbox", "names limits effect", ""),
    ("connection", "names time limits meters metrics event effect linebuf framing plain peer web transport outbox", ""),
    ("registry", "names time limits event peer transport outbox connection", ""),
    ("egress", "names wire limits metrics time event effect plain dialect transport outbox connection registry", ""),
    (
        "system",
        "names time limits settings event register effect home channel control supervisor journal ledger passwords spool signals peer scrape transport listener reload connection",
        "sockets clock instants system log",
    ),
    (
        "reactor",
        "text names time wire limits settings metrics event request register effect hub linebuf proxy plain dialect home peer web scrape transport listener reload outbox connection registry egress system",
        "sockets log",
    ),
    (
        "options",
        "text names limits register/entry settings home tls web transport listener",
        "sockets files system log",
    ),
    ("config", "names limits options", ""),
    ("client/patient", "", "system"),
    ("client/model", "text unicode names time wire limits request commands", "instants"),
    (
        "client/wire",
        "text names wire limits linebuf channel listener client/patient client/model",
        "sockets files threads clock instants system",
    ),
    ("client/screen", "text unicode names wire client/model", "instants"),
    ("client/screen/terminal", "client/patient client/screen", "files system"),
    ("client/line", "text unicode names register/entry commands client/wire client/screen", "files system"),
    ("client/saved", "time home listener client/line", "files system"),
    ("client/known", "client/wire client/saved", ""),
    ("client/meet", "names signals listener client/patient client/wire client/known", ""),
    ("client/tokens", "unicode names wire listener client/saved", "files"),
    (
        "client",
        "text names wire limits erase linebuf commands channel signals listener client/patient client/model client/wire client/screen client/screen/terminal client/line client/saved client/tokens",
        "sockets files threads clock instants signals system",
    ),
];

/// The first module of the shell. The core and the dialect, which stand above it, know nothing outside.
const SHELL: &str = "home";

/// The world outside: words for what the paths behind them lead to.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("sockets", &["mio", "socket2", "std::net", "std::os::unix::net"]),
    ("files", &["std::fs", "std::os::unix::fs", "tempfile"]),
    ("threads", &["std::thread", "std::sync::mpsc"]),
    ("clock", &["std::time::Instant::now", "std::time::SystemTime::now", ELAPSED]),
    // Whoever is told the time as one of these compares it, and does not ask.
    ("instants", &["std::time::Instant"]),
    ("signals", &["signal_hook"]),
    ("system", &["rustix", "std::env", "std::process"]),
    ("log", &["log"]),
];

/// Stands for the method `elapsed`, which asks the clock.
const ELAPSED: &str = "elapsed";

/// Who may spell lines: the wire module, and those who speak to a terminal or a browser, which are other lines.
const SPELLS: &[&str] = &["wire", "web", "client/screen"];

/// What lines of the server begin with, but for those of rooms and people; and how lines end.
const BEGINS: &[&str] = &["* ", "- ", "+ ", "! "];
const ENDS: &str = "\r\n";

/// A file without its tests, parsed.
struct Source {
    /// Its path without the end, `hub/talk` say.
    name: String,
    /// Every path in it that leads out of it, resolved: `crate::names::Nick`, `std::fs::File`.
    paths: BTreeSet<String>,
    /// Every text in it.
    texts: Vec<String>,
}

impl Source {
    fn parse(name: String, code: &str) -> Self {
        let mut reader = Reader { module: name.split('/').map(str::to_owned).collect(), ..Reader::default() };
        reader.visit_file(&syn::parse_file(code).unwrap_or_else(|e| panic!("{name}: {e}")));
        let paths = reader.paths.iter().map(|path| reader.resolve(path).join("::")).collect();
        Self { name, paths, texts: reader.texts }
    }

    /// The row that it belongs to.
    fn row(&self) -> usize {
        row(&self.name).unwrap_or_else(|| panic!("{} has no row in the table", self.name))
    }
}

/// The row of the module that a path leads to: of the innermost that has one.
fn row(path: &str) -> Option<usize> {
    let is_in = |module: &str| path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    (0..TABLE.len()).filter(|&at| is_in(TABLE[at].0)).max_by_key(|&at| TABLE[at].0.len())
}

/// Gathers what is in a file.
#[derive(Default)]
struct Reader {
    /// The module that is read, from the root of the crate on.
    module: Vec<String>,
    paths: Vec<Vec<String>>,
    /// What the names that it imports stand for.
    imports: HashMap<String, Vec<String>>,
    texts: Vec<String>,
}

impl Reader {
    fn path(&mut self, path: Vec<String>) {
        // What `self` and `super` mean depends on where they stand.
        let up = path.iter().take_while(|word| *word == "super").count();
        let path = match path[0].as_str() {
            "self" => self.inside(0, &path[1..]),
            "super" => self.inside(up, &path[up..]),
            _ => path,
        };
        self.paths.push(path);
    }

    /// `rest` in the module that is `up` above this one.
    fn inside(&self, up: usize, rest: &[String]) -> Vec<String> {
        let outer = &self.module[..self.module.len() - up];
        ["crate".to_owned()].iter().chain(outer).chain(rest).cloned().collect()
    }

    fn resolve(&self, path: &[String]) -> Vec<String> {
        match self.imports.get(&path[0]) {
            Some(import) => import.iter().chain(&path[1..]).cloned().collect(),
            // A name alone is of this file or of the prelude.
            None if path.len() == 1 && path[0] != ELAPSED => Vec::new(),
            None => path.to_vec(),
        }
    }

    fn import(&mut self, mut path: Vec<String>, tree: &UseTree) {
        let (name, last) = match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                return self.import(path, &tree.tree);
            }
            UseTree::Group(tree) => return tree.items.iter().for_each(|tree| self.import(path.clone(), tree)),
            UseTree::Glob(_) => panic!("{:?} imports {path:?}::*, and hides what that is", self.module),
            UseTree::Name(tree) => (&tree.ident, &tree.ident),
            UseTree::Rename(tree) => (&tree.rename, &tree.ident),
        };
        let mut name = name.to_string();
        if last == "self" {
            name = path.last().unwrap().clone();
        } else {
            path.push(last.to_string());
        }
        self.path(path);
        self.imports.extend(self.paths.last().map(|path| (name, path.clone())));
    }

    /// What stands in a macro is not parsed, but shows its paths and texts.
    fn tokens(&mut self, mut at: Cursor<'_>) {
        while let Some((token, next)) = at.token_tree() {
            if let Some((inner, _, _, _)) = at.any_group() {
                self.tokens(inner);
            } else if let Some((text, _)) = at.literal() {
                let text = text.to_string();
                syn::parse_str(&text).map(|text: LitStr| self.visit_lit_str(&text)).unwrap_or_default();
                syn::parse_str(&text).map(|text: LitByteStr| self.visit_lit_byte_str(&text)).unwrap_or_default();
            } else if let Some((word, mut rest)) = at.ident() {
                let mut path = vec![word.to_string()];
                while let Some((word, after)) = colons(rest).and_then(Cursor::ident) {
                    path.push(word.to_string());
                    rest = after;
                }
                self.path(path);
                at = rest;
                continue;
            }
            drop(token);
            at = next;
        }
    }
}

/// What follows `::`.
fn colons(at: Cursor<'_>) -> Option<Cursor<'_>> {
    let (first, at) = at.punct()?;
    let (second, at) = at.punct()?;
    (first.as_char() == ':' && second.as_char() == ':').then_some(at)
}

fn is_test(attr: &Attribute) -> bool {
    attr.path().is_ident("cfg") && attr.parse_args::<Ident>().is_ok_and(|what| what == "test")
}

impl Visit<'_> for Reader {
    fn visit_item_use(&mut self, item: &ItemUse) {
        self.import(Vec::new(), &item.tree);
    }

    fn visit_item_mod(&mut self, item: &ItemMod) {
        if !item.attrs.iter().any(is_test) {
            self.module.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_path(&mut self, path: &syn::Path) {
        self.path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &Macro) {
        visit::visit_macro(self, called);
        self.tokens(TokenBuffer::new2(called.tokens.clone()).begin());
    }

    fn visit_expr_method_call(&mut self, call: &ExprMethodCall) {
        if call.method == ELAPSED {
            self.path(vec![ELAPSED.to_owned()]);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_lit_str(&mut self, text: &LitStr) {
        self.visit_lit_byte_str(&LitByteStr::new(text.value().as_bytes(), text.span()));
    }

    fn visit_lit_byte_str(&mut self, text: &LitByteStr) {
        self.texts.push(String::from_utf8_lossy(&text.value()).into_owned());
    }

    /// Doc comments are texts as well.
    fn visit_attribute(&mut self, _: &Attribute) {}
}

/// Every file but the two roots and what belongs to the one of the program, which stand below all.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let name = path.with_extension("").strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                if !["lib", "main", "client_commands"].contains(&name.as_str()) {
                    found.push(Source::parse(name, &fs::read_to_string(&path).unwrap()));
                }
            }
        }
    }
    found
}

/// What stands in a column of a row.
fn words(column: &str) -> BTreeSet<&str> {
    column.split_whitespace().collect()
}

/// What stands above a module in the tables of ARCHITECTURE.md is what it may import.
#[test]
fn the_tables_of_architecture_have_the_same_order() {
    let page = fs::read_to_string("ARCHITECTURE.md").unwrap();
    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let files = cells.flat_map(|cell| cell.split('`').filter_map(|word| word.strip_suffix(".rs")));
    let rows: Vec<usize> = files.filter_map(row).collect();
    for pair in rows.windows(2) {
        assert!(pair[0] <= pair[1], "{} stands above {}", TABLE[pair[0]].0, TABLE[pair[1]].0);
    }
    let told: BTreeSet<usize> = rows.into_iter().collect();
    let missing: Vec<&str> = (0..TABLE.len()).filter(|at| !told.contains(at)).map(|at| TABLE[at].0).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_row_is_of_a_module() {
    let names: Vec<String> = sources().into_iter().map(|source| source.name).collect();
    let shell = TABLE.iter().position(|row| row.0 == SHELL);
    for (at, (module, imports, outside)) in TABLE.iter().enumerate() {
        assert!(Some(at) >= shell || outside.is_empty(), "{module} stands above the shell, and knows {outside}");
        assert!(names.iter().any(|name| name == module), "the table has a row for {module}, which there is not");
        assert_eq!(TABLE.iter().filter(|row| row.0 == *module).count(), 1, "{module} has two rows");
        for other in words(imports) {
            assert!(TABLE[..at].iter().any(|row| row.0 == other), "{other} does not stand above {module}");
        }
        for word in words(outside) {
            assert!(OUTSIDE.iter().any(|row| row.0 == word), "{module} knows {word}, which means nothing");
        }
    }
}

#[test]
fn a_module_imports_what_its_row_tells() {
    let mut wrong = Vec::new();
    let sources = sources();
    for (at, &(module, imports, outside)) in TABLE.iter().enumerate() {
        let paths = || sources.iter().filter(|source| source.row() == at).flat_map(|source| &source.paths);
        let is_used = |&&row: &&(&str, &str, &str)| {
            let row = TABLE.iter().position(|other| *other == row);
            paths()
                .filter_map(|path| path.strip_prefix("crate::"))
                .any(|path| self::row(&path.replace("::", "/")) == row)
        };
        let imported: Vec<&str> =
            TABLE.iter().filter(is_used).map(|row| row.0).filter(|name| *name != module).collect();
        let leads_to =
            |path: &str, to: &str| path.strip_prefix(to).is_some_and(|s| s.is_empty() || s.starts_with("::"));
        let is_known = |&&(_, doors): &&(&str, &[&str])| paths().any(|path| doors.iter().any(|to| leads_to(path, to)));
        let known: Vec<&str> = OUTSIDE.iter().filter(is_known).map(|row| row.0).collect();
        if words(imports) != imported.iter().copied().collect() || words(outside) != known.iter().copied().collect() {
            wrong.push(format!("    ({module:?}, {:?}, {:?}),", imported.join(" "), known.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "as things are, these rows would be\n{}", wrong.join("\n"));
}

#[test]
fn only_the_wire_module_spells_a_line() {
    let is_line = |text: &&String| {
        BEGINS.iter().any(|begin| text.starts_with(begin)) || text.len() > ENDS.len() && text.ends_with(ENDS)
    };
    let others = sources().into_iter().filter(|source| !SPELLS.contains(&TABLE[source.row()].0));
    let spelled: Vec<(String, Vec<String>)> =
        others.map(|source| (source.name, source.texts.iter().filter(is_line).cloned().collect())).collect();
    let spelled: Vec<_> = spelled.iter().filter(|(_, lines)| !lines.is_empty()).collect();
    assert!(spelled.is_empty(), "{spelled:?}");
}

#[test]
fn paths_are_resolved_wherever_they_stand() {
    let code = r##"
        //! crate::comment::is::none
        use std::{fs::{self, File as Disk}, time::Instant};
        use super::{ask, super::names::Nick};
        fn f() {
            let text = "crate::text::is::none";
            fs::read(crate::limits::LINE);
            println!("* {:?} {}", Instant::now(), [mio::Poll::new()]);
            Disk::open(text).elapsed();
        }
        mod inner {
            fn f() { super::g(self::h) }
        }
        #[cfg(test)]
        mod tests {
            use super::*;
            fn f() { "+ unseen" }
        }
    "##;
    let source = Source::parse("hub/talk".to_owned(), code);
    for path in [
        "std::fs",
        "std::fs::File",
        "std::fs::File::open",
        "std::fs::read",
        "std::time::Instant::now",
        "crate::hub::ask",
        "crate::names::Nick",
        "crate::limits::LINE",
        "mio::Poll::new",
        "elapsed",
        "crate::hub::talk::g",
        "crate::hub::talk::inner::h",
    ] {
        assert!(source.paths.contains(path), "{path} is not among {:?}", source.paths);
    }
    assert!(!source.paths.iter().any(|path| path.contains("none")), "{:?}", source.paths);
    assert_eq!(source.texts, ["crate::text::is::none", "* {:?} {}"]);
}
