-- SPDX-License-Identifier: MIT
-- twitter.lua - demo answers of X (Twitter), as its tools are named behind Pipedream Connect.

demo_answer "twitter" {
  tool        = "twitter-create-tweet",
  title       = "Create Tweet",
  description = "Creates a new tweet.",
  input       = { type = "object", required = { "text" },
                  properties = { text = { type = "string", minLength = 1, maxLength = 4000 },
                                 inReplyToTweetId = { type = "string" } } },
  result      = function(call)
    return { data = { id = "1900000000000000001", text = call.arguments.text } }
  end,
}

demo_answer "twitter" {
  tool        = "twitter-delete-tweet",
  title       = "Delete Tweet",
  description = "Removes a tweet by its id.",
  input       = { type = "object", required = { "tweetId" }, properties = { tweetId = { type = "string" } } },
  annotations = { destructiveHint = true },
  result      = { data = { deleted = true } },
}

demo_answer "twitter" {
  tool        = "twitter-simple-search",
  title       = "Search Tweets",
  description = "Returns tweets of the last seven days that match a query.",
  input       = { type = "object", required = { "query" },
                  properties = { query = { type = "string", minLength = 1 }, maxResults = { type = "integer", minimum = 1 } } },
  annotations = { readOnlyHint = true },
  result      = { data = { { id = "1900000000000000011", author_id = "200001", text = "Gran experiencia con su equipo, ¡gracias!" },
                           { id = "1900000000000000012", author_id = "200002", text = "¿Cuándo abren las inscripciones?" } },
                  meta = { result_count = 2 } },
}

demo_answer "twitter" {
  tool        = "twitter-get-user",
  title       = "Get User",
  description = "Gets a user by name.",
  input       = { type = "object", required = { "userNameOrId" }, properties = { userNameOrId = { type = "string" } } },
  annotations = { readOnlyHint = true },
  result      = { data = { id = "200001", name = "Cuenta de ejemplo", username = "ejemplo",
                           public_metrics = { followers_count = 1204, following_count = 87, tweet_count = 356 } } },
}

demo_answer "twitter" {
  tool        = "twitter-list-user-tweets",
  title       = "List User Tweets",
  description = "Returns the latest tweets of a user.",
  input       = { type = "object", properties = { userNameOrId = { type = "string" }, maxResults = { type = "integer" } } },
  annotations = { readOnlyHint = true },
  result      = { data = { { id = "1900000000000000021", text = "Mañana presentamos novedades." } }, meta = { result_count = 1 } },
}

demo_answer "twitter" {
  tool        = "twitter-list-mentions",
  title       = "List Mentions",
  description = "Returns the latest mentions of the account.",
  input       = { type = "object", properties = { maxResults = { type = "integer" } } },
  annotations = { readOnlyHint = true },
  result      = { data = { { id = "1900000000000000031", author_id = "200003", text = "@ejemplo ¿tienen soporte en español?" } },
                  meta = { result_count = 1 } },
}
