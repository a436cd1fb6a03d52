/* SPDX-License-Identifier: MIT */
/* test_services.c - services from a folder: what they become, and every fault with its line. */
#include "conf/service_conf.h"

#include "value/pack.h"

#include "services.h"

static const char *fault_of_json(const char *text)
{
    folder_write("mcp.json", text);
    return fault_of_folder();
}

#define assert_has(text, part) assert_non_null(strstr(text, part))

static const char *expand(const struct template *template)
{
    static char text[1024];
    struct buf out;
    struct err err;
    buf_init(&out, sizeof text - 1);
    int result = template_expand(template, SLICE("u 1"), SLICE("ag"), &out, &err);
    (void)snprintf(text, sizeof text, "%s", result ? err.text : buf_text(&out));
    buf_done(&out);
    return text;
}

/* ---- what is good ------------------------------------------------------------------------ */

static void an_empty_folder_gives_the_built_in_services(void **state)
{
    (void)state;
    static const char *const names[] = {"calendly",   "google_calendar", "pipedrive",
                                        "salesforce", "sendgrid",        "twitter",
                                        "zoho_crm"};
    static const char *const slugs[] = {
        "calendly_v2", "google_calendar", "pipedrive", "salesforce_rest_api",
        "sendgrid",    "twitter",         "zoho_crm"};
    assert_int_equal(setenv("PIPEDREAM_PROJECT_ID", "proj_1", 1), 0);
    struct service_set set = load();
    assert_int_equal(set.count, 7);
    for (size_t i = 0; i < set.count; i++) {
        const struct service_conf *conf = set.list[i];
        assert_true(slice_is(conf->name, names[i]));
        assert_null(conf->file);
        assert_true(conf->line > 10);
        assert_int_equal(conf->transport, SERVICE_HTTP);
        assert_int_equal(conf->sharing, SERVICE_PER_USER);
        assert_int_equal(conf->auth, SERVICE_AUTH_CLIENT_CREDENTIALS);
        assert_string_equal(expand(&conf->url), "https://remote.mcp.pipedream.net/v3");
        assert_int_equal(conf->header_count, 4);
        assert_true(slice_is(conf->headers[0].name, "x-pd-app-slug"));
        assert_string_equal(expand(&conf->headers[0].value), slugs[i]);
        assert_true(slice_is(conf->headers[2].name, "x-pd-external-user-id"));
        assert_string_equal(expand(&conf->headers[2].value), "u 1");
        assert_true(slice_is(conf->headers[3].name, "x-pd-project-id"));
        assert_string_equal(expand(&conf->headers[3].value), "proj_1");
        assert_true(service_conf_needs_user(conf));
        assert_false(service_conf_needs_agent(conf));
        assert_false(service_conf_has_credentials(conf, SLICE("u")));
        assert_true(conf->title.len > 0 && conf->description.len > 0);
    }
    service_set_done(&set);
    struct faults faults;
    faults_init(&faults);
    assert_int_equal(service_set_load(NULL, &set, &faults), 0);
    assert_int_equal(set.count, 7);
    service_set_done(&set);
}

static void a_full_stdio_service(void **state)
{
    (void)state;
    struct service_set set = load_lua(
        "return {\n"
        "  files = { title = 'Files', command = 'srv', args = { 'a', '', '$${x}' },\n"
        "    env = { TOKEN = '${env:T}', EMPTY = '' }, cwd = '/tmp', timeout_ms = 5,\n"
        "    connect_timeout_ms = 6, idle_stop_s = 0, limits = { concurrency = 2 },\n"
        "    tags = { 'x', 'y' }, enabled = false, era = 'legacy', sharing = 'per_agent' },\n"
        "  bare = { command = { 'prog', 'one' } },\n"
        "}\n");
    assert_int_equal(set.count, 2);
    const struct service_conf *bare = set.list[0];
    assert_true(slice_is(bare->title, "bare"));
    assert_string_equal(bare->argv[0], "prog");
    assert_string_equal(bare->argv[1], "one");
    assert_null(bare->argv[2]);
    assert_true(bare->enabled);
    assert_int_equal(bare->timeout_ms, 30000);
    assert_int_equal(bare->sharing, SERVICE_SHARED);
    assert_true(service_conf_has_credentials(bare, SLICE("")));
    assert_int_equal(bare->line, 6);
    const struct service_conf *files = set.list[1];
    assert_true(slice_is(files->title, "Files"));
    assert_int_equal(files->transport, SERVICE_STDIO);
    assert_string_equal(files->argv[0], "srv");
    assert_string_equal(files->argv[1], "a");
    assert_string_equal(files->argv[2], "");
    assert_string_equal(files->argv[3], "${x}");
    assert_null(files->argv[4]);
    assert_int_equal(files->env_count, 2);
    assert_true(slice_is(files->env[1].name, "TOKEN"));
    assert_string_equal(files->cwd, "/tmp");
    assert_int_equal(files->timeout_ms, 5);
    assert_int_equal(files->connect_timeout_ms, 6);
    assert_int_equal(files->idle_stop_s, 0);
    assert_int_equal(files->concurrency, 2);
    assert_int_equal(files->tag_count, 2);
    assert_true(slice_is(files->tags[1], "y"));
    assert_false(files->enabled);
    assert_int_equal(files->sharing, SERVICE_PER_AGENT);
    assert_int_equal(files->line, 2);
    assert_has(files->file, "/services.lua");
    service_set_done(&set);
}

static void choices_of_transport_era_and_sharing(void **state)
{
    (void)state;
    struct service_set set = load_lua(
        "return {\n"
        "  a = { url = 'https://h/' },\n"
        "  b = { transport = 'sse', url = 'https://h/', era = 'legacy', pin = 'strict',\n"
        "    sharing = 'shared', trust_annotations = true },\n"
        "  c = { transport = 'auto', url = 'https://h/', era = 'modern', pin = 'off',\n"
        "    sharing = 'per_call' },\n"
        "  d = { command = 'x', limits = { memory_bytes = 16777216, open_files = 64 } },\n"
        "}\n");
    const struct service_conf *a = set.list[0];
    assert_int_equal(a->transport, SERVICE_HTTP);
    assert_int_equal(a->era, SERVICE_ERA_AUTO);
    assert_int_equal(a->pin, SERVICE_PIN_WARN);
    assert_int_equal(a->sharing, SERVICE_SHARED);
    assert_false(a->sharing_is_given);
    assert_false(a->trust_annotations);
    const struct service_conf *b = set.list[1];
    assert_int_equal(b->transport, SERVICE_SSE);
    assert_int_equal(b->era, SERVICE_ERA_LEGACY);
    assert_int_equal(b->pin, SERVICE_PIN_STRICT);
    assert_int_equal(b->sharing, SERVICE_SHARED);
    assert_true(b->sharing_is_given);
    assert_true(b->trust_annotations);
    const struct service_conf *c = set.list[2];
    assert_int_equal(c->transport, SERVICE_AUTO);
    assert_int_equal(c->era, SERVICE_ERA_MODERN);
    assert_int_equal(c->pin, SERVICE_PIN_OFF);
    assert_int_equal(c->sharing, SERVICE_PER_CALL);
    assert_int_equal(c->memory_bytes, 0);
    assert_int_equal(c->open_files, 0);
    const struct service_conf *d = set.list[3];
    assert_int_equal(d->memory_bytes, 16777216);
    assert_int_equal(d->open_files, 64);
    assert_int_equal(d->concurrency, 1024);
    service_set_done(&set);
}

static struct service_set load_of_every_type(void)
{
    return load_lua(
        "local function web(auth) return { url = 'https://h/', auth = auth } end\n"
        "return {\n"
        "  a = web { type = 'none' },\n"
        "  b = web { type = 'bearer', token = '${env:TB_TOKEN}' },\n"
        "  c = web { type = 'api_key', header = 'x-key', token = 'k-${user}' },\n"
        "  d = web { type = 'basic', user = '${user}', password = '${env:TB_TOKEN}' },\n"
        "  e = web { type = 'oauth', issuer = 'https://i/', scopes = { 's' } },\n"
        "}\n");
}

static void credentials_of_every_type(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("TB_TOKEN"), 0);
    struct service_set set = load_of_every_type();
    struct slice user = SLICE("u");
    struct slice none = SLICE("");
    struct service_conf **list = set.list;
    assert_true(service_conf_has_credentials(list[0], none));
    assert_false(service_conf_has_credentials(list[1], user));
    assert_true(service_conf_has_credentials(list[2], user));
    assert_false(service_conf_has_credentials(list[2], none));
    assert_false(service_conf_has_credentials(list[4], user));
    service_set_done(&set);
    assert_int_equal(setenv("TB_TOKEN", "", 1), 0);
    set = load_of_every_type();
    list = set.list;
    assert_false(service_conf_has_credentials(list[1], user));
    service_set_done(&set);
    assert_int_equal(setenv("TB_TOKEN", "secret", 1), 0);
    set = load_of_every_type();
    list = set.list;
    assert_true(service_conf_has_credentials(list[1], none));
    assert_true(service_conf_has_credentials(list[3], user));
    assert_false(service_conf_has_credentials(list[3], none));
    assert_string_equal(expand(&list[1]->auth_token), "secret");
    assert_true(slice_is(list[2]->auth_header, "x-key"));
    assert_string_equal(expand(&list[2]->auth_token), "k-u 1");
    assert_string_equal(expand(&list[3]->auth_token), "u 1:secret");
    assert_int_equal(list[3]->sharing, SERVICE_PER_USER);
    service_set_done(&set);
}

static void files_of_a_folder_come_together(void **state)
{
    (void)state;
    char path[256];
    folder_file("services.d", path);
    assert_int_equal(mkdir(path, 0755), 0);
    folder_write("services.d/b.lua", "return { two = { command = 'b' } }");
    folder_write("services.d/a.lua", "return { three = { command = 'a' } }");
    folder_write("services.d/.hidden.lua", "nonsense");
    folder_write("services.d/a.lua~", "nonsense");
    folder_write("services.lua", "return { one = { url = 'http://127.0.0.1:80/' } }");
    folder_write("mcp.json",
                 "{ \"inputs\": [], \"mcpServers\": {\n"
                 "  \"four\": { \"type\": \"streamable-http\", \"url\": \"https://h/\",\n"
                 "    \"headers\": { \"a\": \"${agent}\" }, \"alwaysAllow\": [\"x\"] },\n"
                 "  \"five\": { \"command\": \"x\", \"args\": [\"-y\"], \"disabled\": true,\n"
                 "    \"env\": { \"K\": \"v\" }, \"timeout\": 60 } } }");
    struct service_set set = load();
    static const char *const names[] = {"five", "four", "one", "three", "two"};
    static const int lines[] = {4, 2, 1, 1, 1};
    assert_int_equal(set.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_true(slice_is(set.list[i]->name, names[i]));
        assert_int_equal(set.list[i]->line, lines[i]);
    }
    assert_false(set.list[0]->enabled);
    assert_string_equal(set.list[0]->argv[1], "-y");
    assert_int_equal(set.list[1]->transport, SERVICE_HTTP);
    assert_int_equal(set.list[1]->sharing, SERVICE_PER_AGENT);
    assert_has(set.list[3]->file, "/services.d/a.lua");
    service_set_done(&set);
}

static void an_empty_file_means_no_services(void **state)
{
    (void)state;
    struct service_set set = load_lua("return {}");
    assert_int_equal(set.count, 0);
    service_set_done(&set);
}

static void references_are_counted(void **state)
{
    (void)state;
    struct service_set set = load_lua("return { a = { command = 'x' } }");
    struct service_conf *kept = service_conf_ref(set.list[0]);
    service_set_done(&set);
    assert_string_equal(kept->argv[0], "x");
    assert_null(service_conf_unref(kept));
    assert_null(service_conf_unref(NULL));
}

static void a_reload_sees_what_changed(void **state)
{
    (void)state;
    const char *one = "return { a = { command = 'x', env = { KEY = '1' }, tags = { 't' } } }";
    const char *same = "-- moved\nlocal env = { KEY = '1' }\n"
                       "return { a = { tags = { 't' }, env = env, command = 'x' } }";
    const char *other = "return { a = { command = 'x', env = { KEY = '2' }, tags = { 't' } } }";
    struct service_set first = load_lua(one);
    struct service_set second = load_lua(same);
    struct service_set third = load_lua(other);
    assert_true(service_conf_equal(first.list[0], second.list[0]));
    assert_false(service_conf_equal(first.list[0], third.list[0]));
    service_set_done(&first);
    service_set_done(&second);
    service_set_done(&third);
}

static bool holds(struct slice bytes, const char *text)
{
    return memmem(bytes.ptr, bytes.len, text, strlen(text)) != NULL;
}

static void the_definition_hides_literal_secrets(void **state)
{
    (void)state;
    struct service_set set = load_lua(
        "return { a = { url = 'https://h/', headers = { ['X-Api-Key'] = 'S1', plain = 'P1',\n"
        "    ['x-token'] = '${env:T1}' },\n"
        "    auth = { type = 'basic', user = 'U1', password = 'S2' } },\n"
        "  b = { command = 'x', env = { MY_TOKEN = 'S3', DEBUG = 'P2', ACCESSKEY = 'S3',\n"
        "    MY_SECRET = 'S3', PASSWD = 'S3', BASIC_AUTH = 'S3', DB_CREDS = 'S3',\n"
        "    Cookie = 'S3', PRIVATE = 'S3', SESSION = 'S3', SIGNATURE = 'S3' } },\n"
        "  c = { url = 'https://h/?api_key=S4&q=1&token=${env:T1}&flag&secret=${env:T1}S5' } "
        "}");
    struct slice a = set.list[0]->definition;
    assert_false(holds(a, "S1") || holds(a, "S2"));
    assert_true(holds(a, "P1") && holds(a, "${env:T1}") && holds(a, "U1"));
    assert_true(holds(set.list[0]->written, "S1"));
    struct slice b = set.list[1]->definition;
    assert_false(holds(b, "S3"));
    assert_true(holds(b, "P2"));
    struct pack cursor = pack_over(a);
    assert_true(pack_skip(&cursor) && cursor.at == cursor.end);
    struct slice url;
    assert_true(pack_get_text(a, "url", &url) && slice_is(url, "https://h/"));
    assert_true(pack_get_text(set.list[2]->definition, "url", &url));
    assert_true(
        slice_is(url, "https://h/?api_key=(hidden)&q=1&token=${env:T1}&flag&secret=(hidden)"));
    assert_true(holds(set.list[2]->written, "S4"));
    service_set_done(&set);
}

/* ---- what is not ------------------------------------------------------------------------- */

static void faults_of_keys(void **state)
{
    (void)state;
    assert_string_equal(
        fault_of("return {\n"
                 "  a = { transport = 'stdio',\n"
                 "    comand = 'x',\n"
                 "    command = 'x',\n"
                 "    thresholds = {},\n"
                 "    timeout_ms = 0,\n"
                 "    idle_stop_s = '1',\n"
                 "    limits = { concurrency = 0,\n"
                 "      rate = 1,\n"
                 "      x = 1 },\n"
                 "    tags = { 'a',\n"
                 "      3 },\n"
                 "    enabled = 'yes',\n"
                 "    title = 3,\n"
                 "    description = '',\n"
                 "    era = 'new',\n"
                 "    sharing = 'by_call',\n"
                 "    env = { ['A=B'] = 'x',\n"
                 "      C = 3 },\n"
                 "    cwd = 'here',\n"
                 "    url = 'https://h/',\n"
                 "    args = { 'a', {},\n"
                 "      '${user}' },\n"
                 "  },\n"
                 "  B = { command = 'x' },\n"
                 "  c = 3,\n"
                 "}\n"),
        "3: unknown key `a.comand`, did you mean `command`?\n"
        "5: `a.thresholds` is not supported by this version yet: take it out\n"
        "6: a.timeout_ms must be an integer from 1 to 86400000, not the number 0\n"
        "7: a.idle_stop_s must be an integer from 0 to 31536000, not the string \"1\"\n"
        "8: a.limits.concurrency must be an integer from 1 to 65536, not the number 0\n"
        "9: a.limits.rate must be a rate such as \"10/s\", \"100/min\", \"5000/h\" or "
        "\"1000/day\", with \" burst N\" behind it if wanted, not the number 1\n"
        "10: unknown key `a.limits.x`\n"
        "12: a.tags[2] must be a text, not the number 3\n"
        "13: a.enabled must be true or false, not the string \"yes\"\n"
        "14: a.title must be a text, not the number 3\n"
        "15: a.description must not be empty\n"
        "16: a.era must be one of \"auto\", \"legacy\", \"modern\", not the string \"new\"\n"
        "17: a.sharing must be one of \"shared\", \"per_user\", \"per_agent\", \"per_call\", "
        "not "
        "the string \"by_call\"\n"
        "18: a.env.A=B: an environment variable's name is not empty and holds no `=`\n"
        "19: a.env.C must be a text, not a number\n"
        "20: a.cwd must be an absolute path, not \"here\"\n"
        "21: a.url does not go with transport stdio\n"
        "22: a.args[2] must be a text, not a table\n"
        "23: a.args[3]: templates are not supported in a command line, which other users can "
        "read: hand the value over in env\n"
        "25: `B` cannot be the name of a service: it takes 1 to 64 characters of a to z, 0 to "
        "9, "
        "_ and -\n"
        "26: c must be a table of names and values, not a number\n");
}

static void faults_of_transports(void **state)
{
    (void)state;
    assert_string_equal(
        fault_of("return {\n"
                 "  a = {},\n"
                 "  b = { command = 'x', url = 'https://h/' },\n"
                 "  c = { transport = 'sse' },\n"
                 "  d = { transport = 'auto', command = 'x', url = 'https://h/' },\n"
                 "  e = { transport = 'pipe' },\n"
                 "  f = { transport = 'stdio' },\n"
                 "  g = { transport = 'http' },\n"
                 "  h = { command = {} },\n"
                 "  i = { command = { 'x' }, args = { 'y' } },\n"
                 "  j = { command = '' },\n"
                 "  k = { transport = 'sse', url = 'https://h/', era = 'modern' },\n"
                 "}\n"),
        "2: a has neither a command nor a url: give it a command (stdio) or a url (http)\n"
        "3: b has both a command and a url: give it a command (stdio) or a url (http)\n"
        "4: c has transport sse but no url\n"
        "5: d.command does not go with transport auto\n"
        "6: e.transport must be one of \"stdio\", \"http\", \"sse\", \"auto\", not the string "
        "\"pipe\"\n"
        "7: f has transport stdio but no command\n"
        "8: g has transport http but no url\n"
        "9: h.command must be a text, not a table\n"
        "10: i.command is a list that holds the arguments: args cannot stand beside it\n"
        "11: j.command must not be empty\n"
        "12: k.era = \"modern\" contradicts the transport sse, which has no such revision\n");
}

static void faults_of_limits(void **state)
{
    (void)state;
    assert_string_equal(
        fault_of("return {\n"
                 "  a = { command = 'x', pin = 'yes', trust_annotations = 1,\n"
                 "    limits = { memory_bytes = 16777215,\n"
                 "      open_files = 15,\n"
                 "      open_file = 1 } },\n"
                 "  b = { url = 'https://h/', limits = {\n"
                 "    memory_bytes = 16777216,\n"
                 "    open_files = 16 } },\n"
                 "}\n"),
        "2: a.trust_annotations must be true or false, not the number 1\n"
        "2: a.pin must be one of \"warn\", \"strict\", \"off\", not the string \"yes\"\n"
        "3: a.limits.memory_bytes must be an integer from 16777216 to 70368744177664, not the "
        "number 16777215\n"
        "4: a.limits.open_files must be an integer from 16 to 1048576, not the number 15\n"
        "5: unknown key `a.limits.open_file`, did you mean `open_files`?\n"
        "7: b.limits.memory_bytes does not go with transport http\n"
        "8: b.limits.open_files does not go with transport http\n");
}

static void faults_of_http(void **state)
{
    (void)state;
    assert_string_equal(
        fault_of(
            "return {\n"
            "  a = { url = 'ftp://h/' },\n"
            "  b = { url = 'http://example.com/' },\n"
            "  c = { url = 'https://u:p@h/' },\n"
            "  d = { url = 'https://h/#x' },\n"
            "  e = { url = 'https://${user}/' },\n"
            "  f = { url = 'https://h/${secret:X}' },\n"
            "  g = { url = 'https://h/', headers = {\n"
            "    ['a b'] = 'x',\n"
            "    c = 'x\\r\\ny',\n"
            "    host = 'x',\n"
            "    D = '1', d = '2',\n"
            "    e = '${HOME}',\n"
            "    f = '${nonsense}',\n"
            "    g = '${env:A-B}',\n"
            "    h = '${user' } },\n"
            "  h = { url = 'https://h/', sharing = 'shared', headers = { x = '${user}' } },\n"
            "}\n"),
        "2: a.url: it does not begin with https:// or http://\n"
        "3: b.url: plain http is only for this host: use https, or set allow_insecure_http = "
        "true "
        "for this service\n"
        "4: c.url: it holds a user name or password: use auth or headers instead\n"
        "5: d.url: it holds a fragment (#), which is never sent\n"
        "6: e.url: ${user} and ${agent} may stand in its path and query only\n"
        "7: f.url: ${secret:NAME} is not supported by this version, which has no store of "
        "secrets "
        "yet: use ${env:NAME}\n"
        "9: g.headers.a b: `a b` is no name of a header\n"
        "10: g.headers.c: it would hold a control character (byte 0x0d)\n"
        "11: g.headers.host is a header that the broker writes itself\n"
        "12: g.headers.d is the same header as D\n"
        "13: g.headers.e: unknown ${HOME}, did you mean ${env:HOME}?\n"
        "14: g.headers.f: unknown ${nonsense}: there are ${env:NAME}, ${user} and ${agent}; a "
        "literal ${ is written $${\n"
        "15: g.headers.g: ${env:NAME} needs the name of an environment variable\n"
        "16: g.headers.h: ${ is not closed by }; a literal ${ is written $${\n"
        "17: h.sharing = \"shared\" contradicts ${user} in another of its keys\n");
}

static void faults_of_auth(void **state)
{
    (void)state;
    assert_string_equal(
        fault_of("-- every one of them over HTTP\n"
                 "return {\n"
                 "  a = { url = 'https://h/', auth = {} },\n"
                 "  b = { url = 'https://h/', auth = { type = 'magic' } },\n"
                 "  c = { url = 'https://h/', auth = { type = 'bearer' } },\n"
                 "  d = { url = 'https://h/', auth = { type = 'bearer', token = 3 } },\n"
                 "  e = { url = 'https://h/', auth = { type = 'none', token = 'x' } },\n"
                 "  f = { url = 'https://h/', auth = { type = 'api_key', token = 'x', header = "
                 "'a b' } },\n"
                 "  g = { url = 'https://h/', auth = { type = 'basic', user = 'a:b', password "
                 "= 'x' } },\n"
                 "  h = { url = 'https://h/', auth = { type = 'basic', user = 'a' } },\n"
                 "  i = { url = 'https://h/', auth = { type = 'oauth', issuer = 'http://x/', "
                 "scopes = 's' } },\n"
                 "  j = { url = 'https://h/', auth = { type = 'bearer', tokn = 'x', token = "
                 "'y' } },\n"
                 "  k = { url = 'https://h/', auth = { type = 'api_key', token = 'x', query = "
                 "'q', header = 'h' } },\n"
                 "  l = { url = 'https://h/', headers = { Authorization = 'x' },\n"
                 "    auth = { type = 'bearer', token = 'y' } },\n"
                 "  m = { command = 'x', auth = { type = 'none' } },\n"
                 "}\n"),
        "3: a.auth needs the key `type`\n"
        "4: b.auth.type must be one of \"none\", \"bearer\", \"api_key\", \"basic\", "
        "\"oauth\", "
        "\"client_credentials\", not the string \"magic\"\n"
        "5: c.auth needs the key `token`\n"
        "6: d.auth.token must be a text, not a number\n"
        "7: e.auth.token does not go with the type none\n"
        "8: f.auth.header: `a b` is no name of a header\n"
        "9: g.auth.user must hold no colon\n"
        "10: h.auth needs the key `password`\n"
        "11: i.auth.issuer: plain http is only for this host: use https, or set "
        "allow_insecure_http = true for this service\n"
        "11: i.auth.scopes must be a list, not a string\n"
        "12: unknown key `j.auth.tokn`, did you mean `token`?\n"
        "13: `k.auth.query` is not supported by this version yet: use header\n"
        "15: l.auth writes the header Authorization, which stands in headers too\n"
        "16: m.auth does not go with transport stdio\n");
}

static void names_are_unique_over_all_files(void **state)
{
    (void)state;
    folder_write("mcp.json", "{\n\"mcpServers\": {\n\"a\": { \"command\": \"x\" } } }");
    const char *faults = fault_of("return {\n\n  a = { command = 'x' } }");
    assert_has(faults, "3: service `a` is defined already at ");
    assert_has(faults, "/services.lua:3\n");
    folder_write("mcp.json", "{ \"mcpServers\": {} }");
    assert_string_equal(fault_of("return {\n a = { command = 'x' },\n a = { command = 'y' } }"),
                        "3: service `a` is defined already on line 2\n");
}

static void faults_of_mcp_json(void **state)
{
    (void)state;
    assert_has(fault_of_json("{\n  \"mcpServers\": {\n    \"a\": nonsense } }"),
               "3: column 11: JSON is wrong: ");
    assert_has(fault_of_json("{ \"mcpServers\": {},\n \"mcpServers\": {} }"), "2: column ");
    assert_string_equal(fault_of_json("{ \"servers\": {} }"),
                        "0: has no `mcpServers`, so that it names no service\n");
    assert_string_equal(fault_of_json("[]"), "1: must be one JSON object\n");
    assert_string_equal(
        fault_of_json("{ \"mcpServers\": {\n"
                      "  \"a\": { \"type\": \"ssh\", \"url\": \"https://h/\" },\n"
                      "  \"b\": { \"command\": \"x\",\n"
                      "    \"args\": [1],\n"
                      "    \"env\": { \"K\": \"${input:x}\" } },\n"
                      "  \"c\": { \"command\": \"x\", \"disabled\": 1 },\n"
                      "  \"d\": [],\n"
                      "  \"e\": { \"type\": 3 } } }"),
        "2: mcpServers.a.type must be \"stdio\", \"http\" or \"sse\", not \"ssh\"\n"
        "4: mcpServers.b.args[1] must be a text, not the number 1\n"
        "5: mcpServers.b.env.K: unknown ${input:x}: there are ${env:NAME}, ${user} and "
        "${agent}; "
        "a literal ${ is written $${\n"
        "6: mcpServers.c.disabled must be true or false, not the number 1\n"
        "7: mcpServers.d has neither a command nor a url: give it a command (stdio) or a url "
        "(http)\n"
        "8: mcpServers.e.type must be a text, not the number 3\n");
}

static void files_that_others_can_write_are_refused(void **state)
{
    (void)state;
    folder_write("services.lua", "return { a = { command = 'x' } }");
    folder_mode("services.lua", 0646);
    assert_has(fault_of_folder(), "0: the file has mode 0646, so that others");
    folder_mode("services.lua", 0644);
    folder_mode(".", 0770);
    assert_has(fault_of_folder(), " has mode 0770, so that others");
    folder_mode(".", 0755);
    char path[256];
    char target[256];
    folder_file("services.d", path);
    assert_int_equal(mkdir(path, 0755), 0);
    folder_mode("services.d", 0777);
    folder_write("services.d/x.lua", "return {}");
    assert_has(fault_of_folder(), "/services.d has mode 0777");
    folder_mode("services.d", 0755);
    folder_file("open", target);
    assert_int_equal(mkdir(target, 0755), 0);
    folder_write("open/real.lua", "return {}");
    folder_mode("open", 0777);
    folder_file("open/real.lua", target);
    folder_file("services.d/y.lua", path);
    assert_int_equal(symlink(target, path), 0);
    assert_has(fault_of_folder(), "/open has mode 0777");
    folder_mode("open", 0755);
    struct service_set set = load();
    service_set_done(&set);
}

static void files_that_cannot_be_read(void **state)
{
    (void)state;
    char path[256];
    folder_file("services.lua", path);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_string_equal(fault_of_folder(), "0: is not a regular file\n");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0644), 0);
    assert_string_equal(fault_of_folder(), "0: is not a regular file\n");
    assert_int_equal(unlink(path), 0);
    char *huge = malloc((2u << 20) + 1);
    assert_non_null(huge);
    memset(huge, ' ', 2u << 20);
    huge[2u << 20] = '\0';
    assert_string_equal(fault_of(huge), "0: is longer than 1048576 bytes\n");
    free(huge);
}

/* Whatever allocation fails: either all is well, or there is a fault; never a leak or a crash. */
static void no_memory_is_a_fault(void **state)
{
    (void)state;
    folder_write("services.lua",
                 "return { a = { url = 'https://h/${user}', headers = { x = '${env:HOME}' },\n"
                 "    auth = { type = 'basic', user = 'u', password = 'p' }, tags = { 't' },\n"
                 "    retry = { tools = { t = { idempotent = true }, ['u*'] = false } } },\n"
                 "  b = { command = 'x', args = { 'y' }, env = { A = 'b' } } }");
    folder_write("mcp.json", "{ \"mcpServers\": { \"c\": { \"command\": \"x\" } } }");
    unsigned failed = 0;
    for (unsigned long nth = 1; nth < 400; nth++) {
        struct faults faults;
        struct service_set set = {0};
        faults_init(&faults);
        mem_fail_at(nth);
        int result = service_set_load(folder_path(), &set, &faults);
        mem_fail_at(0);
        assert_true((result == 0) == (faults.total == 0));
        failed += result != 0;
        service_set_done(&set);
        faults_done(&faults);
    }
    assert_true(failed > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        folder_test(an_empty_folder_gives_the_built_in_services),
        folder_test(a_full_stdio_service),
        folder_test(choices_of_transport_era_and_sharing),
        folder_test(credentials_of_every_type),
        folder_test(files_of_a_folder_come_together),
        folder_test(an_empty_file_means_no_services),
        folder_test(references_are_counted),
        folder_test(a_reload_sees_what_changed),
        folder_test(the_definition_hides_literal_secrets),
        folder_test(faults_of_keys),
        folder_test(faults_of_transports),
        folder_test(faults_of_limits),
        folder_test(faults_of_http),
        folder_test(faults_of_auth),
        folder_test(names_are_unique_over_all_files),
        folder_test(faults_of_mcp_json),
        folder_test(files_that_others_can_write_are_refused),
        folder_test(files_that_cannot_be_read),
        folder_test(no_memory_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
