//! The user whom a command runs as.

use tokio::process::Command;

use crate::probe::attempt::Fault;

/// Has `command` run as a user given by name or number, without supplementary groups.
pub(super) async fn become_user(command: &mut Command, user: &str) -> Result<(), Fault> {
    let passwd = tokio::fs::read_to_string("/etc/passwd").await.unwrap_or_default();
    let account =
        find(user, &passwd).ok_or_else(|| Fault::Seen(format!("there is no user `{user}` in /etc/passwd")))?;
    if account.uid != rustix::process::geteuid().as_raw() {
        command.uid(account.uid).gid(account.gid);
    }
    if let Some((name, home)) = account.name {
        command.env("USER", &name).env("LOGNAME", &name).env("HOME", home);
    }
    Ok(())
}

#[derive(PartialEq, Eq, Debug)]
struct Account {
    uid: u32,
    gid: u32,
    /// Name and home directory, where they are known.
    name: Option<(String, String)>,
}

fn find(user: &str, passwd: &str) -> Option<Account> {
    let number: Option<u32> = user.parse().ok();
    let known = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        let home = fields.nth(1).unwrap_or("/");
        (name == user || number == Some(uid)).then(|| Account {
            uid,
            gid,
            name: Some((name.to_owned(), home.to_owned())),
        })
    });
    known.or_else(|| {
        number.map(|id| Account {
            uid: id,
            gid: id,
            name: None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken line\nann:x:1000:100:Ann:/home/ann:/bin/sh\n";

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let ann = Account {
            uid: 1000,
            gid: 100,
            name: Some(("ann".to_owned(), "/home/ann".to_owned())),
        };
        assert_eq!(find("ann", PASSWD).as_ref(), Some(&ann));
        assert_eq!(find("1000", PASSWD), Some(ann));
    }

    #[test]
    fn a_number_without_a_name_is_taken_and_a_name_without_a_user_is_not() {
        assert_eq!(find("4242", PASSWD).map(|account| account.gid), Some(4242));
        assert_eq!(find("eve", PASSWD), None);
    }
}
