//! Reasons of a refusal that a program acts on.

/// Why somebody whom we know is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A browser sent it from a page of another site.
    CrossSite,
    /// The password is right, and must be changed first.
    ChangePassword,
    /// The password is right, and the legacy system has locked the user.
    Locked,
    /// The user is neither staff nor a property owner.
    NoAccess,
}

impl Reason {
    /// In `details.reason`; stable.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CrossSite => "cross-site",
            Self::ChangePassword => "change-password",
            Self::Locked => "locked",
            Self::NoAccess => "no-access",
        }
    }

    /// For people, in English and Mongolian.
    pub(super) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::CrossSite => {
                ("This came from a page of another site.", "Энэ хүсэлт өөр сайтаас ирсэн байна.")
            }
            Self::ChangePassword => (
                "Please change your password in the old system first.",
                "Эхлээд хуучин системд нууц үгээ солино уу.",
            ),
            Self::Locked => ("This account is locked.", "Энэ бүртгэл түгжигдсэн байна."),
            Self::NoAccess => {
                ("This account has no access here.", "Энэ бүртгэлд энд нэвтрэх эрх алга.")
            }
        }
    }
}
