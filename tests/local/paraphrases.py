"""Sentences, and a question to each that shares hardly a word with it."""

PAIRS = [
    (
        "Harrison worked at Kensho for two years.",
        "Who was employed by the analytics company?",
    ),
    (
        "The cat slept on the warm radiator all afternoon.",
        "Where did the pet nap?",
    ),
    (
        "Photosynthesis turns sunlight into chemical energy in plants.",
        "How do green organisms make food from light?",
    ),
    (
        "The Treaty of Westphalia ended the Thirty Years' War in 1648.",
        "Which agreement stopped the long European conflict of the 17th century?",
    ),
    (
        "To reset your password, click the link in the email we sent.",
        "I forgot my login secret, what do I do?",
    ),
    (
        "The bridge is closed to trucks heavier than ten tonnes.",
        "May a big lorry cross the river here?",
    ),
    (
        "Add a pinch of salt and let the dough rise for an hour.",
        "How long should the bread rest before baking?",
    ),
    (
        "Python's garbage collector frees cycles of objects.",
        "How does the interpreter reclaim memory that references itself?",
    ),
    (
        "Our refund policy allows returns within thirty days.",
        "Can I get my money back if I send the goods back?",
    ),
    (
        "The stock market fell sharply after the interest rate decision.",
        "Why did share prices drop?",
    ),
    (
        "Penguins huddle together to survive the Antarctic winter.",
        "How do birds at the south pole keep warm?",
    ),
    (
        "The violinist practised the concerto every morning.",
        "Who rehearsed the musical piece daily?",
    ),
    (
        "Vaccines train the immune system to recognise pathogens.",
        "How do jabs protect the body from disease?",
    ),
    (
        "The train to Lyon leaves from platform seven at noon.",
        "When does the railway service to the French city depart?",
    ),
    (
        "A heat pump moves warmth from outside air into the house.",
        "What device heats a home using the air outdoors?",
    ),
    (
        "The committee rejected the proposal by nine votes to four.",
        "Was the suggestion accepted by the board?",
    ),
    (
        "Black holes bend light because they curve spacetime.",
        "Why do collapsed stars distort images of what is behind them?",
    ),
    (
        "She adopted a three-legged dog from the shelter.",
        "Which animal was rescued from the kennel?",
    ),
    (
        "Use a semicolon to join two related independent clauses.",
        "Which punctuation mark links sentences that belong together?",
    ),
    (
        "The lighthouse keeper logged every passing ship.",
        "Who wrote down the vessels that went by?",
    ),
    (
        "Compound interest makes savings grow faster over time.",
        "Why does money in the bank increase more and more quickly?",
    ),
    (
        "The chef seasoned the soup with cumin and coriander.",
        "What spices were put into the broth?",
    ),
    (
        "Deploying on Friday caused an outage that lasted all weekend.",
        "Why was the service down on Saturday and Sunday?",
    ),
    (
        "Glaciers in the Alps have lost half of their volume.",
        "How much mountain ice has melted?",
    ),
    (
        "The museum is free for children under twelve.",
        "Do kids need to pay for a ticket to the gallery?",
    ),
    (
        "Turn off the mains before replacing the light switch.",
        "What must be done first for electrical safety?",
    ),
    (
        "The novel tells of a sailor who hunts a white whale.",
        "Which book is about chasing a sea mammal?",
    ),
    (
        "Wash wool by hand in cold water.",
        "How do I clean a knitted jumper without shrinking it?",
    ),
    (
        "The mayor opened a new library in the harbour district.",
        "Where can citizens borrow books near the docks now?",
    ),
    (
        "Streaming lets a program show tokens while the model is still writing.",
        "How can partial answers be displayed before generation ends?",
    ),
]
