//! What the browser shows when it comes back: small pages that need no network and no
//! script, for light and dark. Every text from outside is escaped here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// One page, before it is HTML.
#[derive(Debug, Clone)]
pub(super) struct Page<'a> {
    pub(super) mark: Mark,
    pub(super) heading: &'a str,
    /// What it is about, as name and value.
    pub(super) facts: Vec<(&'a str, &'a str)>,
    /// Paragraphs.
    pub(super) text: Vec<&'a str>,
}

/// How it went, at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Success,
    Failure,
    /// Neither: the page is beside the point.
    Note,
}

impl Mark {
    fn class(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Note => "note",
        }
    }

    /// Lines in a square of 24 by 24.
    fn lines(self) -> &'static str {
        match self {
            Self::Success => "M7 12.5l3.5 3.5L17 9",
            Self::Failure => "M8.5 8.5l7 7m0-7l-7 7",
            Self::Note => "M12 7.5v5.5m0 3.5v.01",
        }
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#f6f6f4;--card:#fff;--ink:#1b1b1d;--soft:#5a5a60;--line:#e3e3df;\
--success:#15743c;--failure:#b3261e;--note:#5a5a60}\
@media(prefers-color-scheme:dark){:root{--paper:#121214;--card:#1c1c1f;--ink:#ececee;--soft:#a9a9b2;\
--line:#313136;--success:#5fcf8d;--failure:#ff8f85;--note:#a9a9b2}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--paper);\
color:var(--ink);font:1rem/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\
main{width:100%;max-width:30rem;padding:2.25rem;background:var(--card);border:1px solid var(--line);\
border-radius:14px;overflow-wrap:anywhere}\
svg{display:block;width:44px;height:44px;fill:none;stroke:currentColor;stroke-width:1.6;\
stroke-linecap:round;stroke-linejoin:round}\
.success{color:var(--success)}.failure{color:var(--failure)}.note{color:var(--note)}\
h1{margin:1rem 0 .75rem;font-size:1.5rem;font-weight:600;line-height:1.25;letter-spacing:-.01em}\
p{margin:.75rem 0 0}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.35rem 1.25rem;margin:1.25rem 0;\
padding:1rem 0;border:solid var(--line);border-width:1px 0}\
dt{color:var(--soft)}dd{margin:0;font-weight:500}\
footer{margin-top:1.75rem;color:var(--soft);font-size:.875rem}";

impl Page<'_> {
    /// The whole document.
    pub(super) fn html(&self) -> String {
        let heading = escaped(self.heading);
        let facts: String = self
            .facts
            .iter()
            .map(|(name, value)| {
                format!("<dt>{}</dt><dd dir=\"auto\">{}</dd>\n", escaped(name), escaped(value))
            })
            .collect();
        let facts = if facts.is_empty() { facts } else { format!("<dl>\n{facts}</dl>\n") };
        let text: String = self
            .text
            .iter()
            .map(|text| format!("<p dir=\"auto\">{}</p>\n", escaped(text)))
            .collect();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{heading} - keyferry</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <svg class=\"{class}\" viewBox=\"0 0 24 24\" aria-hidden=\"true\">\
             <circle cx=\"12\" cy=\"12\" r=\"10\"/><path d=\"{lines}\"/></svg>\n\
             <h1>{heading}</h1>\n{facts}{text}<footer>keyferry</footer>\n</main>\n</body>\n</html>\n",
            class = self.mark.class(),
            lines = self.mark.lines(),
        )
    }
}

/// The Content-Security-Policy of every page: nothing but its one style.
pub(super) fn security_policy() -> String {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// Fit for text and for quoted attributes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_escaped_wherever_it_stands() {
        let hostile = "</title><script>alert('1')</script>\" onload=\"x&amp;\0";
        let page = Page {
            mark: Mark::Failure,
            heading: hostile,
            facts: vec![(hostile, hostile)],
            text: vec![hostile],
        };
        let html = page.html();
        let harmless = "&lt;/title&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;\
                        &quot; onload=&quot;x&amp;amp; ";
        assert_eq!(html.matches(harmless).count(), 5, "{html}");
        assert!(!html.contains("<script") && !html.contains('\0'), "{html}");
    }

    #[test]
    fn a_page_needs_nothing_from_elsewhere() {
        let page = Page { mark: Mark::Success, heading: "H", facts: vec![], text: vec!["T"] };
        let html = page.html();
        for needs in ["src=", "href=", "http:", "https:", "url(", "@import", "<dl>"] {
            assert!(!html.contains(needs), "{needs} in {html}");
        }
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"));
        assert!(
            html.contains("<title>H - keyferry</title>") && html.contains("<p dir=\"auto\">T</p>")
        );
    }
}
