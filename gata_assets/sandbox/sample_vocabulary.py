"""The vocabulary of sample tickets: sentences per group, phrases shared by all groups, slot values.

Texts only, one sentence per line, in the form of processed data (lower case, digits, `.`, `?`, `!`).
The frequency of sentences belongs to `sample_tickets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class GroupVocabulary:
    """The sentences of a group's tickets: problems and requests with `{slots}`, fixed mails without."""

    problems: tuple[str, ...]
    requests: tuple[str, ...]
    mails: tuple[str, ...]


def _lines(text: str, mark: str = "") -> tuple[str, ...]:
    """The lines that start with the mark, without it."""
    lines = (line.strip() for line in text.strip().splitlines())
    return tuple(line.removeprefix(mark) for line in lines if line.startswith(mark))


def _group(text: str) -> GroupVocabulary:
    """Parse `-` lines as problems, `?` lines as requests and `@` lines as mails."""
    return GroupVocabulary(problems=_lines(text, "- "), requests=_lines(text, "? "), mails=_lines(text, "@ "))


SLOTS: Mapping[str, tuple[str, ...]] = {
    "item": (
        *("coffee machine", "toaster", "blender", "kettle", "desk lamp", "vacuum cleaner", "rice cooker"),
        *("hand mixer", "food processor", "water filter", "slow cooker", "fan heater", "sewing machine"),
    ),
    "days": tuple(str(number) for number in range(2, 22)),
    "amount": tuple(f"{number} euros" for number in range(9, 490)),
    "weekday": ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday"),
    "month": ("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    "when": ("yesterday", "this morning", "last night", "two days ago", "last week", "an hour ago"),
    "device": ("my phone", "my laptop", "my tablet", "the office computer", "two different browsers"),
}

GREETINGS = ("hello.", "hi there.", "good morning.", "dear support team.", "hi team.", "good afternoon.")

CLOSINGS = ("thank you.", "kind regards.", "thanks in advance for your help.", "best wishes.", "many thanks!")

REMARKS = _lines("""
    i have been a customer for {days} months and never had a problem before.
    i already wrote to you {when} but nobody has answered so far.
    i tried to call on {weekday} but gave up after {days} minutes in the queue.
    the help pages did not answer my question.
    it is about the {item} i bought in {month}.
    my reference is {number} in case you need it.
    i am not in a hurry but i would like to have this sorted out by {weekday}.
    to be honest i am a little disappointed.
    i looked at it again {when} on {device} and nothing has changed.
    a colleague of yours told me to write to this address.
""")

QUESTIONS = _lines("""
    can you please help me with this?
    please let me know what the next step is.
    could somebody look into this before {weekday}?
    what do you need from me?
    please get back to me by email or by phone.
    how long will it take to solve this?
""")

SHARED_TEXTS = _lines("""
    hello i need help please. can somebody get back to me?
    please call me back as soon as you can. thank you.
    hi. i am still waiting for an answer to my last message.
    good morning. is anybody there? i have a question.
    thank you for the quick reply. that solved it for me.
""")

VOCABULARY: Mapping[str, GroupVocabulary] = {
    "general support": _group("""
        - i have a question about the {item} which i could not find in the description.
        - does the {item} come with a manual in english and a plug for my country?
        - i would like to know when the {item} will be back in stock.
        - i am looking for advice which {item} would suit a small household.
        - the information about the {item} on your site does not match what i read elsewhere.
        - i want to leave some feedback about the service i got on {weekday}.
        - is there a difference between the old and the new model of the {item}?
        ? can you recommend one of them?
        ? who can give me more information about this product?
        ? please pass my feedback on to the right people.
        @ this is an automatic reply. i am out of the office and will answer when i am back.
        @ your feedback form was received. a member of the support team will read it soon.
        @ a visitor has left a question in the contact form. please see the customer profile for details.
    """),
    "billing and invoices": _group("""
        - the invoice for order {number} shows {amount} but i agreed to a lower price.
        - i never received an invoice for my purchase in {month}.
        - the tax on invoice {number} is wrong and my accountant can not book it.
        - i was billed twice for the same invoice in {month}.
        - the billing address on my invoice is out of date.
        - there is a fee of {amount} on my bill which nobody can explain to me.
        - i got a payment reminder for invoice {number} although i settled it {days} days ago.
        ? please send me a corrected invoice.
        ? can you cancel this reminder and confirm that the bill is settled?
        ? i need a copy of all invoices since {month}.
        @ reminder. an invoice on your account is overdue. please settle the open amount within ten days.
        @ your monthly statement is ready. open the billing page to download the invoice.
        @ the invoice could not be delivered because the billing address of the customer was rejected.
    """),
    "delivery and tracking": _group("""
        - my parcel {number} was due {days} days ago and has still not arrived.
        - the tracking page says delivered but there is no parcel at my door.
        - the courier left the package with a neighbour i do not know.
        - tracking for shipment {number} has not moved since {weekday}.
        - the driver did not ring the bell and the parcel went back to the depot.
        - the box with the {item} arrived soaked and torn on one side.
        - only one of the two parcels of my shipment was delivered {when}.
        ? where is my parcel right now?
        ? can you ask the courier to deliver it again on {weekday}?
        ? please open a search for the lost shipment.
        @ delivery notice. we could not deliver the parcel because nobody was at home.
        @ your shipment is delayed. the tracking page will show a new delivery date soon.
        @ courier report. the address label of this parcel could not be read.
    """),
    "returns and refunds": _group("""
        - i sent the {item} back {days} days ago and still have no refund.
        - i want to return the {item} because it is not what i expected.
        - the return label for order {number} can not be printed.
        - you refunded only part of the price and {amount} are still missing.
        - the returns portal says that the period for order {number} is over.
        - i received the wrong {item} and would like to send it back.
        - my refund was promised for {weekday} but the money has not come back.
        ? please send me a new return label.
        ? when can i expect my refund?
        ? do i have to pay for sending it back?
        @ your return has been registered. print the return label and attach it to the box.
        @ we have received the item you sent back. the refund will follow within five days.
        @ return rejected. the item was sent back without the original packaging.
    """),
    "account access": _group("""
        - i can not log in to my account any more. it still worked {when}.
        - the password reset mail never arrives although i asked for it {days} times.
        - my account was locked after too many wrong passwords.
        - the login code for the second step is always rejected.
        - i no longer have access to the email address i registered with.
        - somebody else seems to have logged in to my account {when}.
        - i changed my password on {device} and now i am locked out.
        ? please unlock my account.
        ? can you send me a new link to reset the password?
        ? how can i change the email address of my login?
        @ a password reset was requested for your account. if this was not you please contact support.
        @ your account has been locked after several failed login attempts. reset your password to unlock it.
        @ new login. your account was used on a device we have not seen before.
    """),
    "app and website problems": _group("""
        - the app crashes on {device} as soon as i open the start page.
        - since the update {when} the website only shows a blank page.
        - the search on your website returns an error for every word i type.
        - the button on the last page does nothing when i tap it.
        - pictures do not load in the app and the menu freezes after a few seconds.
        - error {number} appears every time i open the site on {device}.
        - the app drains my battery and logs a synchronisation error {days} times a day.
        ? is this a known bug and when will it be fixed?
        ? shall i install the app again?
        ? i can send you a screenshot of the error.
        @ crash report. the app closed without warning while the start page was loading.
        @ an error form was submitted from the website. the browser details are attached to this ticket.
        @ the status page reports a slow website. this ticket was opened by the monitor.
    """),
    "order changes": _group("""
        - i want to cancel order {number} before it leaves the warehouse.
        - i chose the wrong colour of the {item} and would like to change my order.
        - please add one more {item} to order {number}.
        - i entered the wrong street for order {number} and need to correct it.
        - i placed the same order twice {when} by mistake.
        - my order has been in preparation for {days} days and i would like to swap one article.
        ? can you still change it before it is packed?
        ? please cancel the order and confirm it to me.
        ? is it possible to combine the two orders?
        @ your order has been changed. please check the new order summary.
        @ cancellation requested. the customer asked to cancel the order before it is packed.
        @ we could not change your order because it has already been packed.
    """),
    "warranty and repairs": _group("""
        - the {item} stopped working after {days} weeks although it is under warranty.
        - the {item} makes a loud noise and smells of hot plastic.
        - the handle of the {item} broke off {when}.
        - the repaired {item} came back with the very same fault.
        - i need a spare part for the {item} because the lid is cracked.
        - the {item} does not switch on any more even with another socket.
        ? is this covered by the warranty?
        ? where can i send the device for repair?
        ? how much would a spare part cost?
        @ your repair has been registered. please pack the device well and add the proof of purchase.
        @ the workshop has finished the repair. your device is on its way back to you.
        @ warranty check. the serial number of the device could not be found.
    """),
    "subscriptions": _group("""
        - i want to end my subscription at the end of {month}.
        - my subscription was renewed {when} although i had cancelled it.
        - i would like to pause the monthly filter box for {days} weeks.
        - i can not find the page where i change my plan.
        - the yearly plan costs {amount} more than the price i signed up for.
        - the trial period of my membership ended and i was moved to the premium plan.
        ? please confirm that my subscription is cancelled.
        ? can i switch to the smaller plan?
        ? when does my membership renew the next time?
        @ your subscription will renew soon. you can change or cancel your plan at any time.
        @ your trial period ends in three days. choose a plan to keep your membership.
        @ we are sorry to see you go. your subscription has been cancelled.
    """),
    "payments": _group("""
        - my credit card was declined although there is enough money on it.
        - the payment of {amount} was taken from my bank account twice.
        - i paid by bank transfer {days} days ago and the order is still waiting for payment.
        - the payment page times out when i confirm with my banking app.
        - i would like to pay by instalments but the option is greyed out.
        - my card expired in {month} and i can not add the new one.
        ? which card types do you accept?
        ? please check whether my transfer has arrived.
        ? can you release the amount reserved on my card?
        @ payment failed. the bank has declined the card. please choose another way to pay.
        @ we have received a transfer without a reference and can not match it to an order.
        @ the amount reserved on your card has been released by the payment service.
    """),
    "vouchers and loyalty": _group("""
        - the voucher code {number} is not accepted at the checkout.
        - my loyalty points from {month} are missing in the app.
        - i got a gift card worth {amount} but the balance shows zero.
        - the discount for new members was not taken off at the checkout.
        ? can you add the missing points?
        ? how long is the gift card valid?
        @ your loyalty points expire at the end of the month. use them before they are gone.
        @ your gift card is ready. enter the voucher code at the checkout.
    """),
    "business customers": _group("""
        - we would like a quote for {days} pieces of the {item} for our office.
        - our company needs a framework contract with payment after delivery.
        - our purchasing department has a new contact person since {month}.
        - we run a small hotel and are interested in wholesale prices for the {item}.
        ? please send your offer with volume prices to our purchasing department.
        ? who is the sales contact for companies in our region?
        @ a new company account was requested. please check the register entry of the company.
        @ the quote you asked for is about to expire. contact your sales contact to renew it.
    """),
    "stores and pickup": _group("""
        - the shop in my town was closed on {weekday} although the opening hours said otherwise.
        - my click and collect order {number} was not ready at the pickup counter.
        - the staff in the store could not find the {item} which i had reserved.
        - i left my umbrella in your store {when}.
        ? what are the opening hours of the store on {weekday}?
        ? can somebody else collect it at the counter for me?
        @ your reservation is ready at the pickup counter. please bring your collection code.
        @ your reservation has ended because it was not collected from the store in time.
    """),
    "privacy requests": _group("""
        - i would like to know which personal data you have stored about me.
        - please delete all my personal data including old order {number}.
        - i object to the use of my data for advertising.
        - i still get your newsletter {days} days after i withdrew my consent.
        ? please confirm the deletion of my data in writing.
        ? how long do you keep my personal data?
        @ data request. a customer has asked for a copy of the personal data stored in the account.
        @ your request to delete your personal data has been received and will be checked.
    """),
    "press and partnerships": _group("""
        - i am writing an article about the {item} and would like to interview an engineer.
        - we organise a trade fair in {month} and are looking for sponsors.
        - i run a cooking channel and would like to propose a cooperation about the {item}.
        - our magazine needs pictures of the {item} in print quality.
        ? who is the press contact for interviews?
        ? could you send a press kit for our next issue?
        @ a journalist has asked for an interview through the press page. the deadline is attached.
    """),
    "product safety": _group("""
        - the {item} gave me an electric shock when i touched the metal frame {when}.
        - i read about a recall and the serial number {number} of my {item} seems to be affected.
        - flames came out of the {item} and i had to use a fire extinguisher.
        - the plug of the {item} melted into the wall socket {when}.
        ? is it dangerous to keep the device in the house?
        ? what does the recall mean for me?
        @ safety notice. a customer has reported an injury caused by a device. treat this as urgent.
    """),
}
