//! What a person reads, in both languages.

use super::Error;
use crate::language::Language;

impl Error {
    pub(super) fn message(&self, language: Language) -> &'static str {
        let (english, mongolian) = self.words();
        language.pick(english, mongolian)
    }

    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Validation { .. } | Self::Fields(_) | Self::Body { .. } => {
                ("The request is not valid.", "Хүсэлт буруу байна.")
            }
            Self::NotFound => ("Not found.", "Олдсонгүй."),
            Self::NoRoute => ("There is no such route.", "Ийм хаяг алга."),
            Self::MethodNotAllowed => {
                ("The method is not allowed here.", "Энэ үйлдлийг зөвшөөрөхгүй.")
            }
            Self::Unauthenticated => ("Please sign in.", "Нэвтэрнэ үү."),
            Self::WrongCredentials => (
                "The name, the password or the code is wrong.",
                "Нэр, нууц үг эсвэл код буруу байна.",
            ),
            Self::Refused(reason) => reason.words(),
            Self::TooMany { .. } => (
                "Too many requests. Please try again later.",
                "Хэт олон хүсэлт илгээлээ. Дараа дахин оролдоно уу.",
            ),
            Self::Forbidden => ("This is not allowed.", "Танд эрх байхгүй."),
            Self::Transition { .. } => {
                ("The status does not allow this step.", "Одоогийн төлөвөөс ийш шилжих боломжгүй.")
            }
            Self::State(_) => {
                ("The present state does not allow this.", "Одоогийн төлөвт үүнийг хийх боломжгүй.")
            }
            Self::NoVersion => (
                "Please say with If-Match which version you are changing.",
                "Аль хувилбарыг өөрчилж байгаагаа If-Match-ээр заана уу.",
            ),
            Self::Elsewhere { .. } => (
                "This also changes a part of the system that is not moved yet.",
                "Энэ үйлдэл хараахан шилжээгүй хэсгийг бас өөрчилнө.",
            ),
            Self::Changed => (
                "Somebody else changed this. Please load it again.",
                "Өөр хүн үүнийг өөрчилсөн байна. Дахин ачаална уу.",
            ),
            Self::KeyReused => (
                "This Idempotency-Key was used for another request.",
                "Энэ Idempotency-Key өөр хүсэлтэд ашиглагдсан байна.",
            ),
            Self::Contended => (
                "Somebody else is changing this. Please try again.",
                "Өөр хүн үүнийг өөрчилж байна. Дахин оролдоно уу.",
            ),
            Self::HandOver => (
                "This part of the system is being moved. Please try again shortly.",
                "Системийн энэ хэсгийг шилжүүлж байна. Удахгүй дахин оролдоно уу.",
            ),
            Self::Legacy(_) => (
                "The legacy system does not answer. Please try again later.",
                "Хуучин систем хариу өгөхгүй байна. Дараа дахин оролдоно уу.",
            ),
            Self::Busy(_) => (
                "The system is busy. Please try again shortly.",
                "Систем ачаалалтай байна. Удахгүй дахин оролдоно уу.",
            ),
            Self::Database(_) | Self::Internal(_) => {
                ("Something went wrong on our side.", "Системийн алдаа гарлаа.")
            }
        }
    }
}
