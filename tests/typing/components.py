# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What chains of prompts, models, parsers and retrievers infer."""

from typing import Any, assert_type

from headrace.chat_history import InMemoryChatMessageHistory
from headrace.documents import Document
from headrace.language_models import LLM, BaseChatModel, LanguageModelInput, init_chat_model
from headrace.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from headrace.output_parsers import BaseOutputParser, JsonOutputParser, StrOutputParser
from headrace.prompt_values import PromptValue
from headrace.prompts import ChatPromptTemplate, PromptTemplate
from headrace.retrievers import BaseRetriever, RetrieverLike
from headrace.runnables import (
    RouterRunnable,
    Runnable,
    RunnablePassthrough,
    RunnableWithMessageHistory,
)


class YesNo(BaseOutputParser[bool]):
    def parse(self, text: str) -> bool:
        return text.startswith("y")


def joined(documents: list[Document]) -> str:
    return " ".join(document.page_content for document in documents)


def asked(question: str) -> list[BaseMessage]:
    return [HumanMessage(question)]


def prompts(prompt: PromptTemplate, chat: ChatPromptTemplate) -> None:
    assert_type(prompt.invoke({"a": 1}), PromptValue)
    assert_type(chat.invoke({"a": 1}), PromptValue)


def models(chat: BaseChatModel, text: LLM, prompt: ChatPromptTemplate) -> None:
    steps: list[Runnable[LanguageModelInput, BaseMessage]] = [chat]
    assert_type(steps[0].invoke("hello"), BaseMessage)
    assert_type(next(chat.stream("hello")), AIMessageChunk)
    assert_type(init_chat_model().batch(["hello"]), list[AIMessage])
    assert_type(chat.invoke([HumanMessage("hello")]), AIMessage)
    assert_type(chat.invoke([("human", "hello")]), AIMessage)
    assert_type(text.invoke("hello"), str)
    assert_type(prompt | chat, Runnable[Any, AIMessage])
    assert_type(prompt | text, Runnable[Any, str])
    assert_type(asked | chat, Runnable[str, AIMessage])
    assert_type(chat.bind(stop=["x"]) | StrOutputParser(), Runnable[LanguageModelInput, str])
    assert_type(chat.with_retry() | StrOutputParser(), Runnable[LanguageModelInput, str])


def said(question: str) -> AIMessage:
    return AIMessage(question)


def parsers(
    prompt: ChatPromptTemplate,
    chat: BaseChatModel,
    up: Runnable[str, str],
    anything: Runnable[str, Any],
) -> None:
    assert_type(prompt | chat | StrOutputParser(), Runnable[Any, str])
    assert_type(prompt | chat | StrOutputParser() | len, Runnable[Any, int])
    assert_type(prompt | chat | JsonOutputParser(), Runnable[Any, Any])
    assert_type(prompt | chat | YesNo(), Runnable[Any, bool])
    assert_type(StrOutputParser().invoke("a"), str)
    assert_type(up | StrOutputParser(), Runnable[str, str])
    assert_type(anything | StrOutputParser(), Runnable[str, str])
    assert_type(said | StrOutputParser(), Runnable[str, str])
    assert_type(said | JsonOutputParser(), Runnable[str, Any])


def retrievers(retriever: BaseRetriever, prompt: ChatPromptTemplate, chat: BaseChatModel) -> None:
    like: RetrieverLike = retriever
    assert_type(like.invoke("a"), list[Document])
    assert_type(retriever | joined, Runnable[str, str])
    chain = {"context": retriever | joined, "question": RunnablePassthrough()} | prompt | chat
    assert_type(chain, Runnable[Any, AIMessage])


def find(session_id: str) -> InMemoryChatMessageHistory:
    return InMemoryChatMessageHistory()


def remembered(prompt: ChatPromptTemplate, chat: BaseChatModel) -> None:
    talk = RunnableWithMessageHistory(prompt | chat, find, input_messages_key="question")
    assert_type(talk, RunnableWithMessageHistory[Any, AIMessage])
    assert_type(talk.invoke({"question": "a"}), AIMessage)
    assert_type(RunnableWithMessageHistory(chat, find).invoke("a"), AIMessage)
    assert_type(RunnableWithMessageHistory(asked, find), RunnableWithMessageHistory[Any, Any])


def routed(up: Runnable[str, str], half: Runnable[int, float], chat: BaseChatModel) -> None:
    assert_type(RouterRunnable({"a": up, "b": up}), RouterRunnable[str])
    assert_type(RouterRunnable({"a": up}).invoke({"key": "a", "input": "b"}), str)
    router = RouterRunnable({"a": up, "b": half})
    print(router.invoke({"key": "b", "input": 1}))
    assert_type(RouterRunnable({"a": chat}), RouterRunnable[AIMessage])
    assert_type(RouterRunnable({"a": asked}), RouterRunnable[Any])
