//! Mongolian words for names, streets and texts.

use super::dice::Dice;

const FATHERS: &[&str] = &[
    "Батбаярын",
    "Доржийн",
    "Ганболдын",
    "Цэрэндоржийн",
    "Мөнхбатын",
    "Энхтайваны",
    "Сүхбаатарын",
    "Лхагвасүрэнгийн",
    "Жаргалын",
    "Өлзийгийн",
    "Пүрэвийн",
    "Нямдоржийн",
    "Хүрэлбаатарын",
];
const GIVEN: &[&str] = &[
    "Отгонбаяр",
    "Болормаа",
    "Тэмүүлэн",
    "Сарангэрэл",
    "Ганзориг",
    "Үүрийнтуяа",
    "Мөнхзул",
    "Бат-Эрдэнэ",
    "Номинчимэг",
    "Энхжин",
    "Өнөрбаян",
    "Цэцэгмаа",
    "Ёндонжамц",
    "Эрдэнэ-Очир",
];
const COMPANIES: &[&str] = &[
    "Тэнгэр Плаза",
    "Их Наяд",
    "Хүннү Молл",
    "Шангри",
    "Мөнх Өргөө",
    "Баянгол Трейд",
    "Алтан Тариа",
    "Номин Юнайтед",
    "Өгөөж Хүнс",
    "Сүү Групп",
    "Эко Барилга",
    "Нарантуул Сервис",
    "Жи Эм Ти",
];
const STREETS: &[&str] = &[
    "Энхтайваны өргөн чөлөө",
    "Сөүлийн гудамж",
    "Жуулчны гудамж",
    "Олимпийн гудамж",
    "Их сургуулийн гудамж",
    "Нарны зам",
    "Чингисийн өргөн чөлөө",
    "Дүнжингаравын гудамж",
];
const DISTRICTS: &[&str] = &[
    "Сүхбаатар дүүрэг",
    "Хан-Уул дүүрэг",
    "Баянзүрх дүүрэг",
    "Чингэлтэй дүүрэг",
    "Баянгол дүүрэг",
    "Сонгинохайрхан дүүрэг",
    "Налайх дүүрэг",
];
const CLAUSES: &[&str] = &[
    "Түрээслэгч нь сар бүрийн 5-ны дотор төлбөрөө төлнө. ",
    "Талууд гэрээг 30 хоногийн өмнө мэдэгдэж цуцалж болно. ",
    "Барьцаа мөнгө нь хоёр сарын түрээстэй тэнцэнэ. ",
    "Ашиглалтын зардлыг түрээслэгч хариуцна. ",
    "Маргааныг Монгол Улсын хуулийн дагуу шийдвэрлэнэ. ",
    "Өнгө үзэмжийг өөрчлөхийн өмнө зөвшөөрөл авна ✍️. ",
];
const GOODS: &[&str] = &[
    "Талбайн түрээс",
    "Цахилгаан",
    "Дулаан",
    "Цэвэр ус",
    "Бохир ус",
    "Хамгаалалт",
    "Цэвэрлэгээ",
    "Зогсоолын төлбөр",
    "Интернэт",
    "Лифт ашиглалт",
];

/// A person: father's name and given name.
pub(crate) fn person(dice: &mut Dice) -> String {
    format!("{} {}", dice.pick(FATHERS), dice.pick(GIVEN))
}

/// A company with its legal form.
pub(crate) fn company(dice: &mut Dice) -> String {
    format!("«{}» {}", dice.pick(COMPANIES), dice.pick(&["ХХК", "ХК", "ТББ"]))
}

/// A building.
pub(crate) fn building(dice: &mut Dice) -> String {
    format!("{} төв {}", dice.pick(COMPANIES), dice.below(40) + 1)
}

/// A postal address.
pub(crate) fn address(dice: &mut Dice) -> String {
    format!(
        "Улаанбаатар хот, {}, {}-р хороо,\r\n{} {}",
        dice.pick(DISTRICTS),
        dice.below(30) + 1,
        dice.pick(STREETS),
        dice.below(120) + 1
    )
}

/// What is billed.
pub(crate) fn service(dice: &mut Dice) -> &'static str {
    dice.pick(GOODS)
}

/// A text of at least so many bytes.
pub(crate) fn clauses(dice: &mut Dice, bytes_min: usize) -> String {
    let mut text = String::new();
    while text.len() < bytes_min {
        text.push_str(dice.pick(CLAUSES));
    }
    text
}
