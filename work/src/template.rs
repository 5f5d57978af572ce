//! Texts with holes: `{{to}}` stands for a field of the payload, `{{card.title}}` for one inside
//! it, `{{@id}}` and `{{@topic}}` for the event's own.
//!
//! How a value is written is decided once, where the template stands: as JSON (a text with its
//! quotes and escapes, so that no value can break out of it), or percent-encoded for URLs and forms.

use serde_json::Value;

use crate::{Event, Failure};

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writing {
    /// `"a \"quoted\" text"`, `12`, `null`.
    Json,
    /// `a%20%22quoted%22%20text`; texts, numbers and truth values only.
    Percent,
}

/// A text with holes.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    writing: Writing,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Field(Vec<String>),
    EventId,
    EventTopic,
}

impl Template {
    pub(crate) fn parse(text: &str, writing: Writing) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            parts.push(Part::Text(before.to_owned()));
            let (name, after) =
                after.split_once("}}").ok_or("a {{ has no }} behind it".to_owned())?;
            parts.push(Part::parse(name.trim())?);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { writing, parts })
    }

    /// The text of an event. A field that the payload does not have is a mistake of whoever wrote the
    /// event, and no later attempt mends it.
    pub(crate) fn fill(&self, event: &Event) -> Result<String, Failure> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::EventId => {
                    self.write(&mut text, &Value::from(event.id.to_string()), "@id")?;
                }
                Part::EventTopic => {
                    self.write(&mut text, &Value::from(event.topic.as_str()), "@topic")?;
                }
                Part::Field(path) => {
                    let found = path.iter().try_fold(&event.payload, |value, name| value.get(name));
                    let name = path.join(".");
                    let missing = || Failure::permanent(format!("the payload has no `{name}`"));
                    self.write(&mut text, found.ok_or_else(missing)?, &name)?;
                }
            }
        }
        Ok(text)
    }

    fn write(&self, text: &mut String, value: &Value, name: &str) -> Result<(), Failure> {
        match (self.writing, value) {
            (Writing::Json, value) => text.push_str(&value.to_string()),
            // A path's own words for "here" and "one up", which encoding does not change.
            (Writing::Percent, Value::String(value)) if matches!(value.as_str(), "." | "..") => {
                return Err(Failure::permanent(format!("`{name}` of the payload is no value")));
            }
            (Writing::Percent, Value::String(value)) => percent(text, value),
            (Writing::Percent, Value::Number(_) | Value::Bool(_)) => {
                percent(text, &value.to_string());
            }
            (Writing::Percent, Value::Null | Value::Array(_) | Value::Object(_)) => {
                let why = format!("`{name}` of the payload is no text and no number");
                return Err(Failure::permanent(why));
            }
        }
        Ok(())
    }

    /// The text with `null` in every hole, to see whether it can be JSON.
    pub(crate) fn probe(&self) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            _ => "null".to_owned(),
        };
        self.parts.iter().map(text).collect()
    }
}

impl Part {
    fn parse(name: &str) -> Result<Self, String> {
        match name {
            "@id" => return Ok(Self::EventId),
            "@topic" => return Ok(Self::EventTopic),
            _ => {}
        }
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        let is_name = |name: &String| {
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        };
        if !path.iter().all(is_name) {
            return Err(format!("`{{{{{name}}}}}` is no field of a payload, nor @id or @topic"));
        }
        Ok(Self::Field(path))
    }
}

/// RFC 3986: everything but its unreserved characters.
fn percent(text: &mut String, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tests::event;

    fn filled(text: &str, writing: Writing, payload: Value) -> Result<String, Failure> {
        Template::parse(text, writing).expect("a template").fill(&event("sms.send", payload))
    }

    #[test]
    fn no_value_breaks_out_of_its_hole() {
        let payload = json!({
            "to": "99112233", "text": "Таны код: \"12\"}\n,{", "card": { "no": 7 }, "none": null,
        });
        let body = r#"{"to": {{to}}, "text": {{ text }}, "no": {{card.no}}, "x": {{none}}}"#;
        let text = filled(body, Writing::Json, payload.clone()).expect("filled");
        let read: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read, json!({ "to": "99112233", "text": payload["text"], "no": 7, "x": null }));
        let url = "https://g/mt?to={{to}}&msg={{text}}&id={{@id}}&no={{card.no}}";
        let text = filled(url, Writing::Percent, payload).expect("filled");
        assert_eq!(
            text,
            "https://g/mt?to=99112233&msg=%D0%A2%D0%B0%D0%BD%D1%8B%20%D0%BA%D0%BE%D0%B4%3A%20%2212%22%7D%0A%2C%7B\
             &id=01900000-0000-7000-8000-000000000001&no=7"
        );
    }

    #[test]
    fn what_the_payload_lacks_is_told_by_name_only() {
        let permanent = |why: &str| Err(Failure::permanent(why));
        let payload = json!({ "to": ["99112233"] });
        assert_eq!(
            filled("{{text}}", Writing::Json, payload.clone()),
            permanent("the payload has no `text`")
        );
        assert_eq!(
            filled("{{to}}", Writing::Percent, payload),
            permanent("`to` of the payload is no text and no number")
        );
    }

    #[test]
    fn mistakes_of_a_template_are_told() {
        for (text, why) in [
            ("{{to", "a {{ has no }} behind it"),
            ("{{}}", "`{{}}` is no field of a payload, nor @id or @topic"),
            ("{{a b}}", "`{{a b}}` is no field of a payload, nor @id or @topic"),
            ("{{@secret}}", "`{{@secret}}` is no field of a payload, nor @id or @topic"),
        ] {
            assert_eq!(Template::parse(text, Writing::Json).expect_err(text), why);
        }
    }
}
