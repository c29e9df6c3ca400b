//! Flags that make no sense together are a usage error of `login` and of `run`, by name.

use crate::support::bridge::initialize_params;
use crate::support::home::Home;

const URL: &str = "https://mcp.example/mcp";

/// What a login cannot do without, and what the error names. A bridge may find it in the vault.
const LACKING: &[(&[&str], &str)] = &[
    (&["--with", "jwt"], "--alg"),
    (&["--with", "jwt", "--alg", "ES256"], "--private-key"),
    (&["--with", "password", "--login-url", "https://l.example/"], "--username"),
    (&["--with", "password", "--username", "ada"], "--login-url"),
    (&["--with", "cloudflare-access"], "--client-id"),
    (&["--with", "command"], "--command"),
    (&["--with", "command", "--command-arg", "x"], "--command"),
    (&["--with", "client-credentials"], "--client-id"),
    (&["--with", "enterprise", "--client-id", "c"], "--idp"),
    (
        &["--with", "enterprise", "--idp-issuer", "https://i.example", "--idp-client-id", "x"],
        "--client-id",
    ),
];

/// Flags that contradict each other or mean nothing, and what the error names.
const SENSELESS: &[(&[&str], &str)] = &[
    (&["--with", "jwt", "--alg", "HS1"], "--alg"),
    (&["--with", "jwt", "--alg", "none"], "--alg"),
    (&["--with", "jwt", "--alg", "HS256", "--private-key", "/k.pem"], "--private-key"),
    (&["--with", "jwt", "--alg", "ES256", "--secret-env", "S"], "--private-key"),
    (&["--with", "jwt", "--alg", "HS256", "--claim", "no-equals-sign"], "--claim"),
    (&["--with", "jwt", "--alg", "HS256", "--claim", "=x"], "--claim"),
    (&["--with", "jwt", "--alg", "HS256", "--claim", "exp=1"], "exp"),
    (&["--with", "jwt", "--alg", "HS256", "--claim", "iat=1"], "iat"),
    (&["--with", "jwt", "--alg", "HS256", "--claim", "jti=x"], "jti"),
    (&["--with", "jwt", "--alg", "HS256", "--ttl", "0"], "--ttl"),
    (&["--with", "jwt", "--alg", "HS256", "--ttl", "soon"], "--ttl"),
    (&["--with", "password", "--username", "a", "--login-url", "no url"], "--login-url"),
    (&["--with", "password", "--username", "a", "--login-url", "http://l.example/"], "http"),
    (
        &[
            "--with",
            "password",
            "--username",
            "a",
            "--login-url",
            "https://l.example/",
            "--body",
            "xml",
        ],
        "--body",
    ),
    (
        &[
            "--with",
            "password",
            "--username",
            "a",
            "--login-url",
            "https://l.example/",
            "--token-pointer",
            "no-slash",
        ],
        "--token-pointer",
    ),
    (
        &["--with", "command", "--command", "/bin/true", "--command-timeout", "x"],
        "--command-timeout",
    ),
    (
        &[
            "--with",
            "client-credentials",
            "--client-id",
            "m",
            "--private-key",
            "/k.pem",
            "--alg",
            "HS256",
        ],
        "--alg",
    ),
    (
        &[
            "--with",
            "client-credentials",
            "--client-id",
            "m",
            "--private-key",
            "/k.pem",
            "--alg",
            "ES256",
            "--secret-env",
            "S",
        ],
        "--private-key",
    ),
    (
        &["--with", "client-credentials", "--client-id", "m", "--token-endpoint", "no url"],
        "--token-endpoint",
    ),
    (
        &[
            "--with",
            "jwt-bearer",
            "--client-id",
            "w",
            "--secret-env",
            "S",
            "--assertion-file",
            "/f",
        ],
        "--assertion-file",
    ),
    (
        &[
            "--with",
            "enterprise",
            "--client-id",
            "c",
            "--idp-issuer",
            "https://i.example",
            "--idp-client-id",
            "x",
            "--id-token-file",
            "/f",
            "--id-token-env",
            "V",
        ],
        "--id-token",
    ),
    (&["--with", "none", "--client-key", "/k.pem"], "--client-cert"),
    (&["--with", "api-key", "--alg", "HS256"], "--alg"),
    (&["--with", "api-key", "--username", "ada"], "--username"),
    (&["--with", "api-key", "--command", "/bin/true"], "--command"),
    (&["--with", "none", "--login-url", "https://l.example/"], "--login-url"),
    (&["--with", "oauth", "--claim", "a=b"], "--claim"),
    (&["--with", "oauth", "--assertion-file", "/f"], "--assertion-file"),
    (&["--with", "password", "--idp-issuer", "https://i.example"], "--idp-issuer"),
];

#[test]
fn login_refuses_them() {
    let home = Home::new("plaintext").with("S", "another-5ecret");
    let mut wrong = Vec::new();
    for (flags, named) in LACKING.iter().chain(SENSELESS) {
        let args = [&["login", URL, "--no-verify"], *flags].concat();
        let done = home.run(&args, "a-5ecret-that-is-long-enough-for-every-kind-0123456789\n");
        if done.code != Some(2) || !done.stderr.contains(named) || !done.stdout.is_empty() {
            wrong.push(format!("{flags:?} {named}: {:?} {}", done.code, done.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(super::rows(&home).is_empty());
}

#[test]
fn run_refuses_them_and_tells_its_client() {
    let mut wrong = Vec::new();
    for (flags, named) in SENSELESS {
        let home = Home::new("memory").with("S", "another-5ecret");
        let mut bridge = home.launch(URL).args(flags).start();
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        let error = bridge.error("1");
        let code = bridge.finish().status.code();
        if code != Some(2) || !error.to_string().contains(named) {
            wrong.push(format!("{flags:?} {named}: {code:?} {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// It may be in the vault; if not, the login is named.
#[test]
fn run_lacks_what_a_login_cannot_do_without() {
    for (flags, _) in LACKING {
        let mut bridge = Home::new("plaintext").launch(URL).args(flags).start();
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        let error = bridge.error("1");
        assert_eq!(error["code"], -31001, "{flags:?}: {error}");
        let hint = error["data"]["hint"].as_str().unwrap_or_default();
        let login = format!("keyferry login {URL} --with {}", flags[1]);
        assert!(hint.starts_with(&login), "{flags:?}: {error}");
    }
}

/// To import is to teach, and `run` teaches nothing.
#[test]
fn what_only_teaches_is_no_flag_of_run() {
    for flags in [
        &["--with", "none", "--client-cert", "/c.pem", "--client-key", "/k.pem", "--import-key"][..],
        &["--with", "jwt", "--alg", "ES256", "--private-key", "/k.pem", "--import-key"],
    ] {
        let mut bridge = Home::new("memory").launch(URL).args(flags).start();
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        let error = bridge.error("1");
        assert!(error.to_string().contains("--import-key"), "{error}");
        assert_eq!(bridge.finish().status.code(), Some(2));
    }
    let home = Home::new("plaintext");
    let args = ["login", URL, "--with", "api-key", "--import-key", "--no-verify"];
    let done = home.run(&args, "key\n").expect(2);
    assert!(done.stderr.contains("--import-key"), "{}", done.stderr);
}

/// A certificate's file may hold its key; one that does not is told at once.
#[test]
fn a_certificate_without_its_key_is_refused() {
    let home = Home::new("plaintext");
    let authority = crate::support::mutual_tls::Authority::new("authority");
    let cert = home.file("cert.pem", authority.identity("ada").certificate);
    let args = ["login", URL, "--with", "none", "--client-cert", &cert, "--no-verify"];
    let done = home.run(&args, "").expect_one_of(&[1, 2]);
    assert!(done.stderr.contains("--client-key"), "{}", done.stderr);
    let mut bridge = Home::new("memory").launch(URL).args(&["--client-cert", &cert]).start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let error = bridge.error("1");
    assert!(error.to_string().contains("--client-key"), "{error}");
}

#[test]
fn no_secret_is_taken_from_the_command_line() {
    const SECRET: &str = "argv-5ecret-0001";
    let home = Home::new("plaintext");
    for flags in [
        &["--with", "password", "--password", SECRET][..],
        &["--with", "jwt", "--alg", "HS256", "--secret", SECRET],
        &["--with", "jwt", "--alg", "HS256", "--secret-env", "argv-5ecret-0001=x"],
        &["--with", "client-credentials", "--client-id", "m", "--client-secret=argv-5ecret-0001"],
        &["--with", "jwt-bearer", "--client-id", "m", "--assertion", SECRET],
    ] {
        let done = home.run(&[&["login", URL, "--no-verify"], flags].concat(), "");
        assert!(matches!(done.code, Some(1 | 2)), "{flags:?}: {:?}", done.code);
        if !flags.contains(&"--secret-env") {
            assert!(!done.stderr.contains(SECRET), "{}", done.stderr);
        }
    }
}

/// One line for each secret that is missing, in the order of the help.
#[test]
fn secrets_come_line_by_line_from_a_pipe() {
    use crate::support::jws::{ENCRYPTED, PASSPHRASE};
    let home = Home::new("plaintext");
    let key = home.file("key.pem", ENCRYPTED);
    for (flags, stdin, code) in [
        (
            &["--with", "jwt", "--alg", "ES256", "--private-key", &key][..],
            format!("{PASSPHRASE}\n"),
            0,
        ),
        (
            &["--with", "jwt", "--alg", "ES256", "--private-key", &key],
            format!("{PASSPHRASE}\r\n"),
            0,
        ),
        (&["--with", "jwt", "--alg", "ES256", "--private-key", &key], String::new(), 2),
        (&["--with", "jwt", "--alg", "HS256"], String::new(), 2),
        (&["--with", "command", "--command", "/bin/true"], String::new(), 0),
        (
            &["--with", "password", "--username", "a", "--login-url", "https://l.example/"],
            "one\ntwo\n".to_owned(),
            2,
        ),
    ] {
        let done = home.run(&[&["login", URL, "--no-verify"], flags].concat(), &stdin);
        let good = done.code == Some(code) || code == 2 && done.code == Some(1);
        assert!(good, "{flags:?}: {:?}: {}", done.code, done.stderr);
    }
}
