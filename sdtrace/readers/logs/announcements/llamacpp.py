"""What llama.cpp says of itself: drafters that were not started, vocabularies that differ."""

from sdtrace.readers.logs.announcements.announcement import table

_ANY = r"(?:[\w ()~:]{1,60}: )?"

ROWS = table(
    (
        "llamacpp-vocabularies-differ",
        "tokens will be translated between the two",
        _ANY + r"the target and draft vocabs are not compatible",
        "draft and target do not share a vocabulary: every draft is translated from one to the other",
        "low-acceptance",
        "suspected",
        "use a drafter of the target's own family and vocabulary",
        "common_speculative_init: the target and draft vocabs are not compatible - tokens will be translated between the two",
    ),
    (
        "llamacpp-vocabulary-must-match",
        "to use speculation",
        _ANY + r"draft (?:model )?(?:special tokens|vocab[\w ]{0,30}|bos tokens?|eos tokens?) must (?:match|closely match) target",
        "the drafter's special tokens or vocabulary differ from the target's",
        "low-acceptance",
        "suspected",
        "use a drafter of the target's own family and vocabulary",
        "common_speculative_are_compatible: draft model special tokens must match target model to use speculation",
    ),
    (
        "llamacpp-draft-not-loaded",
        "failed to load draft model",
        _ANY + r"failed to load draft model",
        "the draft model could not be loaded",
        "speculation-off",
        "proved",
        "see the lines before it: memory, a wrong path, or an architecture that this build does not know",
        "srv    load_model: failed to load draft model, 'draft.gguf'",
    ),
    (
        "llamacpp-not-with-images",
        "is not supported",
        _ANY + r"(?:err: )?speculative deco(?:de|ding) is not supported (?:by|with) multimodal",
        "speculation is off because the model takes images",
        "speculation-off",
        "proved",
        "start the server without --mmproj for text, or without a drafter",
        "srv    load_model: err: speculative decode is not supported by multimodal",
    ),
)  # fmt: skip
