//! The pages that a person sees here.

const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#f4f1ea;--card:#fffdf8;--ink:#22201c;--line:#ddd6c8;--go:#1f5f8b}\
@media(prefers-color-scheme:dark){:root{--paper:#151412;--card:#1f1d1a;--ink:#ece8e0;--line:#3a362f;--go:#7fb8dd}}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--paper);color:var(--ink);\
font:1rem/1.5 system-ui,sans-serif}\
main{box-sizing:border-box;width:min(26rem,92vw);padding:2rem;background:var(--card);border:1px solid var(--line);\
border-radius:12px;overflow-wrap:anywhere}\
h1{margin:0 0 1rem;font-size:1.35rem}label{display:block;margin:1rem 0 .3rem}\
input[type=text]{box-sizing:border-box;width:100%;padding:.55rem;font:inherit;color:inherit;\
background:var(--paper);border:1px solid var(--line);border-radius:8px}\
button{margin:1.25rem .5rem 0 0;padding:.55rem 1.2rem;font:inherit;border-radius:8px;border:1px solid var(--go);\
background:var(--go);color:var(--card);cursor:pointer}button.no{background:none;color:var(--go)}\
small{display:block;margin-top:1.5rem;opacity:.75}";

pub(super) fn sign_in(visit: &str, resource: &str) -> String {
    page(
        "Sign in to the demo server",
        &format!(
            "<p>keyferry wants to reach <b>{}</b> for you.</p>\
             <form method=\"post\" action=\"/sign-in\">\
             <input type=\"hidden\" name=\"visit\" value=\"{visit}\">\
             <label for=\"name\">Your name</label>\
             <input type=\"text\" id=\"name\" name=\"name\" value=\"Ada\" maxlength=\"40\" required autofocus>\
             <button>Sign in</button></form>\
             <small>This page is part of the demo. Any name will do; nothing leaves this machine.</small>",
            escaped(resource)
        ),
    )
}

pub(super) fn consent(visit: &str, person: &str) -> String {
    page(
        &format!("Hello {}", escaped(person)),
        &format!(
            "<p><b>keyferry</b> on this machine asks to use your <b>tools</b>.</p>\
             <form method=\"post\" action=\"/consent\">\
             <input type=\"hidden\" name=\"visit\" value=\"{visit}\">\
             <button name=\"decision\" value=\"allow\">Allow</button>\
             <button name=\"decision\" value=\"deny\" class=\"no\">Deny</button></form>"
        ),
    )
}

pub(super) fn refusal() -> String {
    page("This request cannot be right", "<p>Close this page and run the demo again.</p>")
}

/// `heading` and `content` are HTML already.
fn page(heading: &str, content: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{heading}</title><style>{STYLE}</style></head>\n\
         <body><main><h1>{heading}</h1>{content}</main></body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
