//! `mssql://user:password@host:1433/database?encrypt=required|off&trust=true`.

use std::{fmt, net::IpAddr, str::FromStr};

use secrecy::SecretString;

use crate::{
    Error,
    session::{Encryption, Settings},
};

/// SQL Server's port.
const DEFAULT_PORT: u16 = 1433;

fn wrong(reason: impl Into<String>) -> Error {
    Error::Url { reason: reason.into() }
}

impl FromStr for Settings {
    type Err = Error;

    /// The password may be left out of the URL and set afterwards.
    fn from_str(url: &str) -> Result<Self, Error> {
        let rest = url
            .strip_prefix("mssql://")
            .or_else(|| url.strip_prefix("sqlserver://"))
            .ok_or_else(|| wrong("it does not begin with mssql://"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        // The last @: a password may hold one although it should be written %40.
        let (login, place) =
            authority.rsplit_once('@').ok_or_else(|| wrong("no user: mssql://user@host/…"))?;
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = split_place(place)?;
        let mut settings = Self {
            host,
            port,
            database: decode(database.trim_end_matches('/'), "database")?,
            user: decode(user, "user")?,
            password: SecretString::from(decode(password, "password")?),
            encryption: Encryption::Required,
            trust_certificate: false,
        };
        if settings.user.is_empty() {
            return Err(wrong("the user is empty"));
        }
        if settings.database.is_empty() {
            return Err(wrong("no database: mssql://user@host/database"));
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            settings.set_option(pair)?;
        }
        settings.check()?;
        Ok(settings)
    }
}

fn split_place(place: &str) -> Result<(String, u16), Error> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, after) =
                rest.split_once(']').ok_or_else(|| wrong("a [ without ] in the host"))?;
            (host, after.strip_prefix(':'))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.is_empty() {
        return Err(wrong("the host is empty"));
    }
    let port = port.map_or(Ok(DEFAULT_PORT), |port| {
        port.parse().map_err(|_| wrong(format!("`{port}` is not a port")))
    })?;
    Ok((host.to_owned(), port))
}

/// Resolves `%xx`; the result must be UTF-8. `what` names the part: its text may be a secret.
fn decode(text: &str, what: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || {
                let digit = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(digit).ok()
            };
            let (Some(high), Some(low)) = (digit(), digit()) else {
                return Err(wrong(format!("a % in the {what} is not followed by two hex digits")));
            };
            bytes.push(high << 4 | low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong(format!("the {what} is not UTF-8")))
}

/// The other way, for printing.
fn encode(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            write!(f, "{}", char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

impl Settings {
    fn set_option(&mut self, pair: &str) -> Result<(), Error> {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match (key, value) {
            ("encrypt", "required" | "true") => self.encryption = Encryption::Required,
            ("encrypt", "off" | "false") => self.encryption = Encryption::Off,
            ("trust", "true") => self.trust_certificate = true,
            ("trust", "false") => self.trust_certificate = false,
            ("encrypt", _) => return Err(wrong("encrypt is `required` or `off`")),
            ("trust", _) => return Err(wrong("trust is `true` or `false`")),
            _ => return Err(wrong(format!("unknown option `{key}`"))),
        }
        Ok(())
    }

    /// Refuses plain text over a network: the login's password would be readable on the way.
    ///
    /// # Errors
    /// [`Error::PlainText`].
    pub fn check(&self) -> Result<(), Error> {
        match self.encryption {
            Encryption::Off if !self.is_loopback() => {
                Err(Error::PlainText { address: self.address() })
            }
            Encryption::Off | Encryption::Required => Ok(()),
        }
    }

    fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl Encryption {
    /// As the URL spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Off => "off",
        }
    }
}

/// The URL without the password.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mssql://")?;
        encode(&self.user, f)?;
        write!(f, "@{}/", self.address())?;
        encode(&self.database, f)?;
        write!(f, "?encrypt={}", self.encryption.name())?;
        if self.trust_certificate {
            f.write_str("&trust=true")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_full_url_is_read() {
        let url =
            "mssql://sa:p%40ss%20%C3%A9:x@10.0.0.7:14330/Spacehub23?encrypt=required&trust=true";
        let settings: Settings = url.parse().unwrap();
        assert_eq!(settings.host, "10.0.0.7");
        assert_eq!(settings.port, 14330);
        assert_eq!(settings.user, "sa");
        assert_eq!(settings.password.expose_secret(), "p@ss é:x");
        assert!(settings.trust_certificate);
        assert_eq!(
            settings.to_string(),
            "mssql://sa@10.0.0.7:14330/Spacehub23?encrypt=required&trust=true"
        );
    }

    #[test]
    fn short_forms_are_read() {
        let settings: Settings = "mssql://sa@localhost/db?encrypt=off".parse().unwrap();
        assert_eq!((settings.port, settings.encryption), (1433, Encryption::Off));
        let settings: Settings = "mssql://sa@[::1]:99/db?encrypt=off".parse().unwrap();
        assert_eq!(settings.address(), "[::1]:99");
    }

    #[test]
    fn wrong_urls_are_refused_without_a_word_of_the_password() {
        for url in [
            "postgres://sa:hush@h/db",
            "mssql://h/db",
            "mssql://:hush@h/db",
            "mssql://sa:hush@/db",
            "mssql://sa:hush@h",
            "mssql://sa:hush@h:port/db",
            "mssql://sa:hush%@h/db",
            "mssql://sa:hush%FF@h/db",
            "mssql://sa:hush@h/db?encrypt=maybe",
            "mssql://sa:hush@h/db?trust=1",
            "mssql://sa:hush@h/db?what=1",
            "mssql://sa:hush@[::1/db",
            "mssql://sa:hush@legacy.example/db?encrypt=off",
        ] {
            let error = url.parse::<Settings>().unwrap_err();
            let told = format!("{error} {error:?} {}", error.hint());
            assert!(!told.contains("hush"), "{told}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_and_hides_the_password(
            user in "[^\\x00]{1,12}", password in "[a-z@:/?%é]{12}", database in "[^\\x00]{1,12}", port: u16
        ) {
            let settings = Settings {
                host: "127.0.0.1".to_owned(),
                port,
                database: database.clone(),
                user: user.clone(),
                password: SecretString::from(password.clone()),
                encryption: Encryption::Off,
                trust_certificate: true,
            };
            let printed = settings.to_string();
            let debugged = format!("{settings:?}");
            prop_assert!(!debugged.contains(&password) || user.contains(&password) || database.contains(&password));
            let back: Settings = printed.parse().unwrap();
            prop_assert_eq!(back.user, user);
            prop_assert_eq!(back.database, database);
            prop_assert_eq!(back.port, port);
        }
    }
}
