//! Users by `/etc/passwd` and `/etc/group`, or by number.
//!
//! Other sources of names (LDAP and the like) would load foreign code into the keeper; their users are given by number.

use std::fs;

/// Whom a process becomes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    /// Name and home directory, where they are known.
    pub(crate) name: Option<(String, String)>,
}

/// Finds a user by name or number.
pub(crate) fn find(user: &str) -> Result<Account, String> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let group = fs::read_to_string("/etc/group").unwrap_or_default();
    parse(user, &passwd, &group)
}

fn parse(user: &str, passwd: &str, group: &str) -> Result<Account, String> {
    let number: Option<u32> = user.parse().ok();
    for line in passwd.lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(_password)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (uid, gid) = (fields.next().and_then(parse_id), fields.next().and_then(parse_id));
        let (Some(uid), Some(gid)) = (uid, gid) else { continue };
        if name == user || number == Some(uid) {
            let home = fields.nth(1).unwrap_or("/");
            return Ok(Account {
                uid,
                gid,
                groups: groups(name, gid, group),
                name: Some((name.to_owned(), home.to_owned())),
            });
        }
    }
    match number {
        Some(id) => Ok(Account {
            uid: id,
            gid: id,
            groups: Vec::new(),
            name: None,
        }),
        None => Err(format!("there is no user `{user}` in /etc/passwd")),
    }
}

fn groups(name: &str, gid: u32, group: &str) -> Vec<u32> {
    let mut groups = vec![gid];
    for line in group.lines() {
        let mut fields = line.split(':').skip(2);
        let (Some(id), Some(members)) = (fields.next().and_then(parse_id), fields.next()) else {
            continue;
        };
        if id != gid && members.split(',').any(|member| member == name) {
            groups.push(id);
        }
    }
    groups
}

fn parse_id(text: &str) -> Option<u32> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken line\nann:x:1000:100:Ann:/home/ann:/bin/sh\n";
    const GROUP: &str = "users:x:100:\nlog:x:7:bob,ann\nother:x:8:bob\n";

    #[test]
    fn a_user_is_found_by_name_and_number_with_all_groups() {
        let ann = parse("ann", PASSWD, GROUP).unwrap();
        assert_eq!((ann.uid, ann.gid, ann.groups.clone()), (1000, 100, vec![100, 7]));
        assert_eq!(parse("1000", PASSWD, GROUP), Ok(ann));
    }

    #[test]
    fn a_number_without_a_name_is_taken_and_a_name_without_a_user_is_not() {
        assert_eq!(parse("4242", PASSWD, GROUP).unwrap().gid, 4242);
        assert!(parse("eve", PASSWD, GROUP).unwrap_err().contains("eve"));
    }
}
