//! Files that the owners of names have sent: who may withdraw them, whichever connection they came through, against the core in memory.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chinwag::limits::FILES_A_SENDER;
use chinwag::settings::Settings;

use crate::company::{Company, SECRET};

/// Alice and bob, who own their names, and carol, who does not, in a room.
fn company() -> Company {
    let mut company = Company::new(Settings::default(), &["alice", "bob"]);
    // Who comes first is the founder, and may withdraw all.
    for name in ["bob", "alice", "carol"] {
        enter(&mut company, name);
    }
    company
}

fn enter(company: &mut Company, name: &str) {
    company.enter(&[name]);
    company.done(name, "/join #a");
}

/// Somebody goes and comes back.
fn again(company: &mut Company, name: &str) {
    company.0.end(name);
    enter(company, name);
}

/// A connection on which somebody proves to own alice's name by this, and enters the room.
fn alice_by(company: &mut Company, conn: &str, token: &str) {
    company.0.connect(conn);
    company.done(conn, &format!("/login alice token:{token}"));
    company.done(conn, "/join #a");
}

/// Somebody shares a file; gives its ID.
fn share(company: &mut Company, name: &str, target: &str) -> String {
    let told = company.told(name, &format!("/send {target} 0 x"));
    let ids = told.iter().filter_map(|line| line.strip_prefix("+ send ")?.split(' ').next());
    ids.map(str::to_owned).next().unwrap_or_else(|| panic!("{told:?}"))
}

#[test]
fn who_comes_back_as_the_owner_of_a_name_withdraws_what_they_sent_by_it() {
    let mut company = company();
    let (open, secret) = (share(&mut company, "alice", "#a"), share(&mut company, "alice", "bob"));
    let of_guest = share(&mut company, "carol", "#a");
    again(&mut company, "alice");
    again(&mut company, "carol");
    let files = company.told("alice", "/files");
    let listed = files.iter().any(|line| line.starts_with(&format!("- {secret} 0 alice @bob ")));
    assert!(listed && files.last().is_some_and(|last| last == "+ files 3"), "{files:?}");
    company.refused("carol", &format!("/cancel {open}"), "refused");
    company.refused("carol", &format!("/cancel {of_guest}"), "refused");
    company.heard("bob");
    company.done("alice", &format!("/cancel {open}"));
    company.done("alice", &format!("/cancel {secret}"));
    let want = [format!("#a * alice unfile {open} gone"), format!("@alice * alice unfile {secret} gone")];
    assert_eq!(company.heard("bob"), want);
}

#[test]
fn who_has_sent_as_many_as_they_may_over_many_connections_withdraws_one_and_sends_another() {
    let mut company = company();
    let mut files = Vec::new();
    for _ in 0..FILES_A_SENDER {
        files.push(share(&mut company, "alice", "#a"));
        again(&mut company, "alice");
    }
    company.refused("alice", "/send #a 0 x", "too-many");
    company.done("alice", &format!("/cancel {}", files[0]));
    share(&mut company, "alice", "#a");
}

#[test]
fn who_leaves_a_name_behind_leaves_its_files_to_whoever_comes_as_its_owner() {
    let mut company = company();
    let (open, secret) = (share(&mut company, "alice", "#a"), share(&mut company, "alice", "bob"));
    company.done("alice", "/nick dora");
    alice_by(&mut company, "again", &URL_SAFE_NO_PAD.encode(SECRET));
    company.refused("alice", &format!("/cancel {open}"), "refused");
    company.refused("alice", &format!("/get {secret}"), "no-such-file");
    company.done("again", &format!("/cancel {open}"));
    company.done("again", &format!("/cancel {secret}"));
}

#[test]
fn an_upload_ends_with_whoever_sends_it_though_the_file_is_the_owners() {
    let mut company = company();
    company.done("bob", "/join #b");
    company.done("alice", "/join #b");
    company.done("alice", "/send #b 9 x");
    company.done("alice", "/nick dora");
    alice_by(&mut company, "again", &URL_SAFE_NO_PAD.encode(SECRET));
    company.heard("alice");
    company.done("bob", "/kick #b dora");
    let told = company.heard("alice");
    assert!(told.iter().any(|line| line.starts_with("=1 ! gone ")), "{told:?}");
}

#[test]
fn whoever_owns_a_name_next_does_not_have_the_files_of_who_owned_it_before() {
    for lines in [&["/revoke alice", "/grant alice"][..], &["/grant alice"]] {
        let mut company = company();
        let (open, secret) = (share(&mut company, "alice", "#a"), share(&mut company, "alice", "bob"));
        company.0.connect_control("ctl");
        let granted = lines.iter().map(|line| company.ask("ctl", line)).next_back().unwrap();
        alice_by(&mut company, "next", granted.strip_prefix("+ grant alice token:").unwrap());
        company.refused("next", &format!("/cancel {open}"), "refused");
        company.refused("next", &format!("/get {secret}"), "no-such-file");
        // Nor do they count among theirs.
        (0..FILES_A_SENDER).for_each(|_| drop(share(&mut company, "next", "#a")));
        company.0.hub.check();
    }
}
