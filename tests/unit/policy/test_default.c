/* SPDX-License-Identifier: MIT */
/* test_default.c - the default policy: what each agent may use, what stands in, what is said. */
#include "ask.h"

static const char *const agents[] = {"coordinator", "meeting_scheduler", "lead_administrator"};
static const char *const services[] = {"sendgrid",  "twitter",    "calendly", "google_calendar",
                                       "pipedrive", "salesforce", "zoho_crm"};
static const int owner[] = {0, 0, 1, 1, 2, 2, 2};

static int set_up(void **state)
{
    (void)make_folder(state);
    view = (struct policy_call){0};
    use(NULL);
    return 0;
}

static void each_agent_has_its_services_and_no_other(void **state)
{
    (void)state;
    for (int a = 0; a < 3; a++) {
        for (int s = 0; s < 7; s++) {
            char tool[64];
            struct slice agent = slice_of(agents[a]);
            struct slice service = slice_of(services[s]);
            (void)snprintf(tool, sizeof tool, "%s/some-tool", services[s]);
            ask(agents[a], tool);
            bool is_allowed = owner[s] == a;
            assert_int_equal(policy_may_use_service(policy, agent, service), is_allowed);
            assert_int_equal(policy_may_use_tool(policy, agent, service, SLICE("some-tool")),
                             is_allowed);
            if (is_allowed) {
                assert_call(services[s], "some-tool");
                assert_false(decision.is_operation);
                assert_false(decision.has_arguments);
                continue;
            }
            char rule[64];
            (void)snprintf(rule, sizeof rule, "\"agent %s: services\"", agents[a]);
            assert_failure(ERR_POLICY_DENIED, "may not use service");
            assert_string_equal(detail("rule"), rule);
            assert_non_null(strstr(buf_text(&failure.suggestion), a == 0   ? "sendgrid, twitter"
                                                                  : a == 1 ? "google_calendar"
                                                                           : "zoho_crm"));
        }
    }
}

static void deleting_is_denied_by_rule(void **state)
{
    (void)state;
    ask("lead_administrator", "pipedrive/pipedrive-delete-lead");
    assert_failure(ERR_POLICY_DENIED, "may not call");
    assert_string_equal(detail("rule"), "\"agent lead_administrator: tools.deny */*delete*\"");
    ask("meeting_scheduler", "google_calendar/google_calendar-delete-event");
    assert_call("google_calendar", "google_calendar-delete-event");
}

static void a_service_can_be_given_apart(void **state)
{
    (void)state;
    (void)ask;
    view = (struct policy_call){.peer = &trusted_peer,
                                .agent = SLICE("coordinator"),
                                .service = SLICE("twitter"),
                                .tool = SLICE("odd/name"),
                                .service_state = state_of};
    policy_decide(policy, &view, &decision, &failure);
    assert_call("twitter", "odd/name");
}

static void names_that_are_nearly_right_are_suggested(void **state)
{
    (void)state;
    ask("cordinator", "sendgrid/x");
    assert_failure(ERR_NOT_FOUND, "no agent `cordinator`");
    assert_non_null(strstr(buf_text(&failure.suggestion), "`coordinator`"));
    states = "sendgird=unknown";
    ask("coordinator", "sendgird/x");
    assert_failure(ERR_NOT_FOUND, "no service `sendgird`");
    assert_non_null(strstr(buf_text(&failure.suggestion), "`sendgrid`"));
    ask("lead_administrator", "mark_lead_as_contatced");
    assert_failure(ERR_NOT_FOUND, "no operation");
    assert_non_null(strstr(buf_text(&failure.suggestion), "`mark_lead_as_contacted`"));
    ask("", "sendgrid/x");
    assert_failure(ERR_INVALID_REQUEST, "no agent");
    assert_non_null(strstr(buf_text(&failure.suggestion), "hello"));
}

static void what_stays_in_the_application_says_so(void **state)
{
    (void)state;
    ask("lead_administrator", "create_lead_in_database");
    assert_failure(ERR_NOT_FOUND, "stays in the application");
    assert_string_equal(detail("local"), "true");
}

static void an_untrusted_peer_may_not_speak(void **state)
{
    (void)state;
    struct policy_peer stranger = {4000, 4000, 9, false, false};
    view = (struct policy_call){.peer = &stranger,
                                .agent = SLICE("coordinator"),
                                .tool = SLICE("sendgrid/x"),
                                .service_state = state_of};
    policy_decide(policy, &view, &decision, &failure);
    assert_failure(ERR_POLICY_DENIED, "may not speak as agent");
    assert_string_equal(detail("rule"), "\"peer_may\"");
    assert_false(policy_peer_may(policy, &stranger, SLICE("coordinator"), SLICE("ana")));
    assert_true(policy_peer_may(policy, &trusted_peer, SLICE("coordinator"), SLICE("ana")));
}

static void names_have_a_length(void **state)
{
    (void)state;
    char long_name[2000];
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    ask("coordinator", long_name);
    assert_failure(ERR_INVALID_REQUEST, "longer than");
    ask(long_name, "sendgrid/x");
    assert_failure(ERR_INVALID_REQUEST, "longer than");
}

/* ---- demo -------------------------------------------------------------------------------------- */

static void without_credentials_demo_answers_stand_in(void **state)
{
    (void)state;
    states = "*=no_credentials";
    ask_with(
        "coordinator", "sendgrid/sendgrid-send-email-single-recipient",
        "{\"fromEmail\":\"a@example.com\",\"toEmail\":\"b@example.com\",\"subject\":\"Hola\"}");
    assert_demo("\"accepted\":true");
    assert_true(slice_is(decision.service, "sendgrid"));
    ask_with("meeting_scheduler", "google_calendar/google_calendar-create-event",
             "{\"summary\":\"Café\",\"eventStartDate\":\"2026-12-01T10:00:00Z\","
             "\"eventEndDate\":\"2026-12-01T11:00:00Z\"}");
    assert_demo("\"summary\":\"Café\"");
}

static void demo_answers_check_their_arguments(void **state)
{
    (void)state;
    states = "*=no_credentials";
    ask_with("coordinator", "sendgrid/sendgrid-send-email-single-recipient",
             "{\"fromEmail\":\"a@example.com\",\"toEmail\":7,\"subject\":\"Hola\"}");
    assert_failure(ERR_VALIDATION_ERROR, "toEmail");
    assert_string_equal(detail("field"), "\"arguments.toEmail\"");
    assert_non_null(strstr(detail("errors"), "arguments.toEmail"));
    ask_with("coordinator", "twitter/twitter-create-tweet",
             "{}"); /* one that a function makes */
    assert_failure(ERR_VALIDATION_ERROR, "text");
}

static void every_service_has_demo_tools_that_answer(void **state)
{
    (void)state;
    states = "*=no_credentials";
    unsigned total = 0;
    for (int s = 0; s < 7; s++) {
        struct buf tools;
        buf_init(&tools, 1u << 20);
        uint32_t count = policy_put_demo_tools(policy, slice_of(services[s]), &tools);
        struct pack cursor = pack_over(buf_slice(&tools));
        assert_true(count >= 5);
        total += count;
        for (uint32_t i = 0; i < count; i++) {
            struct slice tool;
            struct slice name;
            struct slice schema;
            char full[128];
            assert_true(pack_take(&cursor, &tool));
            assert_true(pack_get_text(tool, "name", &name));
            assert_true(pack_get(tool, "inputSchema", &schema));
            assert_true(pack_get(tool, "description", &schema));
            (void)snprintf(full, sizeof full, "%s/%.*s", services[s], SLICE_ARG(name));
            /* Arguments that every one of them takes, or at least a proper refusal. */
            ask_with(
                agents[owner[s]], full,
                "{\"leadId\":\"7\",\"eventId\":\"e\",\"email\":\"a@b.example\","
                "\"fromEmail\":\"a@b.example\",\"toEmail\":\"a@b.example\",\"subject\":\"s\","
                "\"text\":\"t\",\"tweetId\":\"1\",\"query\":\"q\",\"userNameOrId\":\"u\","
                "\"owner\":\"o\",\"eventStartDate\":\"2026-12-01\",\"eventEndDate\":"
                "\"2026-12-01\",\"title\":\"t\",\"term\":\"t\",\"name\":\"n\",\"content\":"
                "\"c\",\"LastName\":\"l\",\"Company\":\"c\",\"sobjectType\":\"Lead\","
                "\"recordId\":\"r\",\"Name\":\"n\",\"StageName\":\"s\",\"CloseDate\":"
                "\"2026-12-01\",\"Subject\":\"s\",\"module\":\"Leads\",\"moduleType\":"
                "\"Leads\",\"criteria\":\"c\"}");
            if (!strstr(full, "delete") || s < 4) {
                assert_demo("content");
            }
        }
        assert_int_equal(cursor.at - (const unsigned char *)tools.data, tools.len);
        buf_done(&tools);
    }
    assert_true(total >= 40);
}

static void without_demo_answer_an_account_is_needed(void **state)
{
    (void)state;
    states = "*=no_credentials";
    ask("coordinator", "sendgrid/sendgrid-list-blocks");
    assert_failure(ERR_AUTH_REQUIRED, "no credentials of user `ana` for service `sendgrid`");
    view.demo = POLICY_DEMO_NEVER;
    ask_with("coordinator", "twitter/twitter-create-tweet", "{\"text\":\"x\"}");
    assert_failure(ERR_AUTH_REQUIRED, "twitter");
    states = "";
    view.demo = POLICY_DEMO_ONLY;
    ask_with("coordinator", "twitter/twitter-create-tweet", "{\"text\":\"x\"}");
    assert_demo("\"text\":\"x\"");
    ask("coordinator", "twitter/twitter-something");
    assert_failure(ERR_NOT_FOUND, "no demo answer");
    view.demo = POLICY_DEMO_BY_POLICY;
    states = "sendgrid=disabled";
    ask("coordinator", "sendgrid/x");
    assert_failure(ERR_DISABLED, "switched off");
    assert_true(policy_would_demo(policy, SLICE("coordinator"), POLICY_SERVICE_NO_CREDENTIALS));
    assert_false(policy_would_demo(policy, SLICE("coordinator"), POLICY_SERVICE_USABLE));
    assert_false(policy_would_demo(policy, SLICE("coordinator"), POLICY_SERVICE_UNAVAILABLE));
    assert_false(policy_would_demo(policy, SLICE("nobody"), POLICY_SERVICE_NO_CREDENTIALS));
}

/* ---- operations ------------------------------------------------------------------------------------ */

static void the_first_usable_service_does_an_operation(void **state)
{
    (void)state;
    ask_with("lead_administrator", "mark_lead_as_contacted", "{\"lead_id\":\"L1\"}");
    assert_call("pipedrive", "pipedrive-update-lead");
    assert_true(decision.is_operation && decision.is_idempotent && decision.has_arguments);
    assert_string_equal(json_of(decision.arguments),
                        "{\"label\":\"contacted\",\"leadId\":\"L1\"}");
    states = "pipedrive=unavailable";
    ask_with("lead_administrator", "mark_lead_as_contacted", "{\"lead_id\":\"L1\"}");
    assert_call("salesforce", "salesforce_rest_api-update-record");
    assert_int_equal(decision.target, 1);
    states = "pipedrive=no_credentials,salesforce=disabled,zoho_crm=unavailable";
    ask_with("lead_administrator", "mark_lead_as_contacted", "{\"lead_id\":\"L1\"}");
    assert_demo("\"id\":\"L1\""); /* for pipedrive, the first that has no credentials */
    assert_true(slice_is(decision.service, "pipedrive"));
    view.demo = POLICY_DEMO_NEVER; /* the unavailable one may be back */
    ask_with("lead_administrator", "mark_lead_as_contacted", "{\"lead_id\":\"L1\"}");
    assert_call("zoho_crm", "zoho_crm-update-object");
    states = "pipedrive=no_credentials,salesforce=disabled,zoho_crm=unknown";
    ask_with("lead_administrator", "mark_lead_as_contacted", "{\"lead_id\":\"L1\"}");
    assert_failure(ERR_AUTH_REQUIRED, "pipedrive is not linked, salesforce is switched off");
    states = "*=disabled";
    ask_with("lead_administrator", "mark_lead_as_contacted", "{\"lead_id\":\"L1\"}");
    assert_failure(ERR_UNAVAILABLE, "no service can do");
}

static void operations_check_agent_and_input(void **state)
{
    (void)state;
    ask_with("coordinator", "mark_lead_as_contacted", "{\"lead_id\":\"L1\"}");
    assert_failure(ERR_POLICY_DENIED, "may not call operation");
    assert_string_equal(detail("rule"), "\"operation mark_lead_as_contacted: agents\"");
    ask("lead_administrator", "mark_lead_as_contacted");
    assert_failure(ERR_VALIDATION_ERROR, "lead_id");
    ask_with("lead_administrator", "mark_lead_as_contacted", "{\"lead_id\":5}");
    assert_failure(ERR_VALIDATION_ERROR, "lead_id");
    assert_string_equal(detail("field"), "\"arguments.lead_id\"");
    assert_string_equal(detail("tool"), "\"mark_lead_as_contacted\"");
}

static void a_target_that_cannot_do_it_is_passed_over(void **state)
{
    (void)state;
    const char *meeting =
        "{\"lead_email\":\"l@example.com\",\"start\":\"2026-12-01T10:00:00Z\","
        "\"end\":\"2026-12-01T11:00:00Z\"}";
    ask_with("meeting_scheduler", "schedule_meeting_for_lead", meeting);
    assert_call("google_calendar", "google_calendar-create-event");
    assert_false(decision.is_idempotent);
    states = "google_calendar=disabled";
    ask_with("meeting_scheduler", "schedule_meeting_for_lead", meeting);
    assert_failure(ERR_UNAVAILABLE, "no service can do");
    ask_with("meeting_scheduler", "schedule_meeting_for_lead",
             "{\"lead_email\":\"l@example.com\",\"start\":\"2026-12-01T10:00:00Z\","
             "\"end\":\"2026-12-01T11:00:00Z\",\"event_type\":\"T\"}");
    assert_call("calendly", "calendly_v2-create-scheduling-link");
}

/* ---- after failures -------------------------------------------------------------------------------- */

static void fail_with(enum err_code code)
{
    failure_set(&failure, code, "it failed");
    policy_on_failure(policy, &view, &decision, &failure);
}

static void operations_go_on_to_the_next_target(void **state)
{
    (void)state;
    ask_with("lead_administrator", "mark_lead_as_contacted", "{\"lead_id\":\"L1\"}");
    fail_with(ERR_UNAVAILABLE);
    failure_clear(&failure);
    assert_call("salesforce", "salesforce_rest_api-update-record");
    assert_non_null(strstr(json_of(decision.arguments), "\"recordId\":\"L1\""));
    fail_with(ERR_OUTCOME_UNKNOWN); /* declared idempotent: may be done twice */
    failure_clear(&failure);
    assert_call("zoho_crm", "zoho_crm-update-object");
    assert_int_equal(decision.target, 2);
    fail_with(ERR_UNAVAILABLE);
    assert_failure(ERR_UNAVAILABLE, "it failed");
    ask_with("meeting_scheduler", "schedule_meeting_for_lead",
             "{\"lead_email\":\"l@example.com\",\"start\":\"2026-12-01T10:00:00Z\","
             "\"end\":\"2026-12-01T11:00:00Z\",\"event_type\":\"T\"}");
    fail_with(ERR_OUTCOME_UNKNOWN); /* not idempotent: nothing stands in */
    assert_failure(ERR_OUTCOME_UNKNOWN, "it failed");
}

static void a_service_may_have_a_stand_in(void **state)
{
    (void)state;
    ask("lead_administrator", "salesforce/find");
    assert_call("salesforce", "find");
    fail_with(ERR_CIRCUIT_OPEN);
    failure_clear(&failure);
    assert_call("pipedrive", "find");
    assert_int_equal(decision.target, 1);
    fail_with(ERR_NOT_FOUND);
    assert_failure(ERR_UNAVAILABLE, "`pipedrive`, which stands in for it, has no tool `find`");
    ask("lead_administrator", "salesforce/find");
    fail_with(ERR_TIMEOUT); /* not among `on` */
    assert_failure(ERR_TIMEOUT, "it failed");
    ask("lead_administrator", "pipedrive/find");
    fail_with(ERR_UNAVAILABLE);
    assert_failure(ERR_UNAVAILABLE, "it failed");
    states = "pipedrive=disabled";
    ask("lead_administrator", "salesforce/find");
    fail_with(ERR_UNAVAILABLE);
    assert_failure(ERR_UNAVAILABLE, "it failed");
}

static void credentials_missing_at_the_service_lead_to_demo(void **state)
{
    (void)state;
    ask_with("coordinator", "twitter/twitter-create-tweet", "{\"text\":\"x\"}");
    assert_call("twitter", "twitter-create-tweet");
    fail_with(ERR_AUTH_REQUIRED);
    assert_demo("\"text\":\"x\"");
    ask_with("coordinator", "twitter/twitter-create-tweet", "{}");
    fail_with(ERR_AUTH_REQUIRED); /* a demo answer that does not fit changes nothing */
    assert_failure(ERR_AUTH_REQUIRED, "it failed");
}

/* ---- words ------------------------------------------------------------------------------------------ */

static const char *told(const char *locale, enum err_code code)
{
    failure_set(&failure, code, "it failed");
    policy_message(policy, slice_of(locale), SLICE("google_calendar"), SLICE("Google Calendar"),
                   &failure);
    return buf_text(&failure.user_message);
}

static void people_are_told_in_their_language(void **state)
{
    (void)state;
    assert_string_equal(told("es", ERR_UNAVAILABLE),
                        "Ups, hubo un error al conectarse con Google Calendar");
    assert_string_equal(told("", ERR_UNAVAILABLE),
                        "Ups, hubo un error al conectarse con Google Calendar");
    assert_string_equal(told("es-MX", ERR_AUTH_REQUIRED),
                        "Para continuar, conecta tu cuenta de Google Calendar.");
    assert_string_equal(told("en-GB", ERR_UNAVAILABLE),
                        "Oops, there was an error connecting to Google Calendar");
    assert_string_equal(told("de", ERR_CANCELLED), "La acción se canceló.");
    for (int code = ERR_NONE + 1; code < ERR_COUNT; code++) {
        assert_true(strlen(told("es", (enum err_code)code)) > 10);
        assert_true(strlen(told("en", (enum err_code)code)) > 10);
        assert_null(strchr(told("en", (enum err_code)code), '{'));
    }
    failure_set(&failure, ERR_VALIDATION_ERROR, "x");
    failure_detail_text(&failure, "field", "arguments.email");
    policy_message(policy, SLICE("es"), SLICE(""), SLICE(""), &failure);
    assert_string_equal(buf_text(&failure.user_message),
                        "Falta un dato o no es válido: arguments.email.");
    failure_set(&failure, ERR_UNAVAILABLE, "x");
    policy_message(policy, SLICE("en"), SLICE(""), SLICE(""), &failure);
    assert_string_equal(buf_text(&failure.user_message),
                        "Oops, there was an error connecting to the service");
}

static void human(const char *json, const char *expected)
{
    struct buf out;
    buf_init(&out, 1u << 20);
    buf_clear(&scratch);
    assert_int_equal(json_to_pack(slice_of(json), 32, &scratch, NULL), 0);
    policy_human_text(policy, SLICE("es"), buf_slice(&scratch), &out);
    assert_string_equal(buf_text(&out), expected);
    buf_done(&out);
}

static void results_become_text(void **state)
{
    (void)state;
    human("{\"content\":[{\"type\":\"text\",\"text\":\"uno\"},{\"type\":\"text\",\"text\":"
          "\"dos\"}]}",
          "uno\ndos");
    human("{\"isError\":true,\"content\":[{\"type\":\"text\",\"text\":\"mal\"}]}",
          "No se pudo completar: mal");
    human("{\"content\":[{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":\"AA==\"}]}",
          "[imagen: image/png]");
    human("{\"content\":[],\"structuredContent\":{\"a\":[1,2.5]}}", "{\"a\":[1,2.5]}");
    human("{\"content\":[]}", "(sin contenido)");
    human("{\"content\":[{\"type\":\"resource_link\",\"name\":\"n\",\"uri\":\"file:///n\"}]}",
          "n <file:///n>");
    human("{}", "(sin contenido)");
    human("[]", "(sin contenido)");
    human("{\"content\":[7,{\"type\":9}]}", "\n[recurso]");
}

/* ---- lists ------------------------------------------------------------------------------------------ */

static void lists_say_what_policy_says(void **state)
{
    (void)state;
    struct buf out;
    struct slice near = {NULL, 0};
    buf_init(&out, 1u << 20);
    assert_true(policy_has_agent(policy, SLICE("coordinator")));
    assert_false(policy_has_agent(policy, SLICE("nobody")));
    policy_put_agents(policy, &out);
    const char *json = json_of(buf_slice(&out));
    assert_non_null(strstr(json, "\"name\":\"coordinator\""));
    assert_non_null(strstr(json, "\"operations\":[\"mark_lead_as_contacted\"]"));
    assert_true(strstr(json, "coordinator") < strstr(json, "lead_administrator"));
    buf_clear(&out);
    assert_true(policy_put_agent(policy, SLICE("lead_administrator"), &out, &near));
    assert_non_null(strstr(json_of(buf_slice(&out)), "\"deny\":[\"*/*delete*\"]"));
    buf_clear(&out);
    assert_false(policy_put_agent(policy, SLICE("meeting_schedule"), &out, &near));
    assert_true(slice_is(near, "meeting_scheduler"));
    assert_int_equal(out.len, 0);
    assert_int_equal(policy_put_operations(policy, SLICE("meeting_scheduler"), &out), 1);
    assert_non_null(strstr(json_of(buf_slice(&out)), "\"name\":\"schedule_meeting_for_lead\""));
    buf_clear(&out);
    assert_int_equal(policy_put_operations(policy, SLICE("coordinator"), &out), 0);
    policy_put_info(policy, &out);
    assert_non_null(strstr(json_of(buf_slice(&out)), "\"agents\":3,\"operations\":2"));
    buf_done(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_agent_has_its_services_and_no_other),
        TEST(deleting_is_denied_by_rule),
        TEST(a_service_can_be_given_apart),
        TEST(names_that_are_nearly_right_are_suggested),
        TEST(what_stays_in_the_application_says_so),
        TEST(an_untrusted_peer_may_not_speak),
        TEST(names_have_a_length),
        TEST(without_credentials_demo_answers_stand_in),
        TEST(demo_answers_check_their_arguments),
        TEST(every_service_has_demo_tools_that_answer),
        TEST(without_demo_answer_an_account_is_needed),
        TEST(the_first_usable_service_does_an_operation),
        TEST(operations_check_agent_and_input),
        TEST(a_target_that_cannot_do_it_is_passed_over),
        TEST(operations_go_on_to_the_next_target),
        TEST(a_service_may_have_a_stand_in),
        TEST(credentials_missing_at_the_service_lead_to_demo),
        TEST(people_are_told_in_their_language),
        TEST(results_become_text),
        TEST(lists_say_what_policy_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
